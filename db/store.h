#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/run_directory.h"
#include "db/records.h"

namespace sweep {

/// A store's folder: the files that are the truth, and `sweep.db`, the index of them
/// (docs/design.md). This class is the only place with SQL. Foreign exceptions come out as
/// Failure(kDatabase).
class Store {
 public:
  enum class Access {
    kRead,   ///< any number of processes; never writes
    kWrite,  ///< one process: takes the lease (Failure kStoreHeld if another has it), creates and
             ///< migrates
    kRebuild,  ///< as kWrite, but an empty database beside the store's, for PutInPlace
    kCheck,    ///< an empty database that is on no disk for long; writes nothing to the store
  };
  Store(std::filesystem::path root, Access access);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Is there a store in this folder, with its database or without?
  [[nodiscard]] static bool Exists(const std::filesystem::path& root);
  /// Is there the database of one?
  [[nodiscard]] static bool HasDatabase(const std::filesystem::path& root);

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] RunDirectory run_directory(const std::string& run_id) const;
  [[nodiscard]] std::filesystem::path sweeps_folder() const { return root_ / "sweeps"; }
  [[nodiscard]] std::filesystem::path imports_folder() const { return root_ / "imports"; }

  /// Throws Failure(kStoreHeld) when this process, which opened the store for writing, has lost it
  /// to another one. Asked before every act outside; every commit asks too.
  void RequireHeld() const;

  /// How much of the journal the database has followed, in bytes; nullopt when it never has.
  [[nodiscard]] std::optional<int64_t> JournalOffset() const;

  /// Checks a database that is being rebuilt and puts it in the place of the store's, at once; the
  /// old one stays as `sweep.db.old`. Damaged lines leave the journal, which then stays as
  /// `journal.jsonl.old`. The store cannot be asked anything after that.
  void PutInPlace();

  // Questions. Ids that are not there give nullopt or an empty answer.
  [[nodiscard]] std::set<std::string> SweepIds() const;
  [[nodiscard]] std::set<std::string> ImportIds() const;
  [[nodiscard]] std::optional<RunRecord> FindRun(const std::string& run_id) const;
  /// Of all runs, or of those of one sweep.
  [[nodiscard]] RunStates States(const std::string& sweep_id = "") const;
  /// eval_id of every finished evaluation.
  [[nodiscard]] IdSet FinishedEvaluations() const;
  /// The same of one run.
  [[nodiscard]] IdSet FinishedEvaluations(const std::string& run_id) const;
  /// How many of all finished evaluations have files without a checksum.
  [[nodiscard]] int64_t UncheckedEvaluations() const;
  /// Was the run ever in this state?
  [[nodiscard]] bool HasBeen(const std::string& run_id, RunState state) const;
  [[nodiscard]] std::vector<OpenAttempt> OpenAttempts() const;
  [[nodiscard]] std::optional<RunProgress> LatestProgress(const std::string& run_id) const;
  /// Rates of all attempts that told of two steps or more, of an executor and on a host (empty:
  /// jobs of a scheduler).
  [[nodiscard]] std::vector<MeasuredRates> RatesAt(const std::string& executor,
                                                   const std::string& host) const;
  /// Of all attempts; open ones last until `now` (Unix time).
  [[nodiscard]] std::vector<AttemptSpan> AttemptSpans(double now) const;
  /// Runs of all sweeps of this name.
  [[nodiscard]] IdSet RunsOfName(const std::string& sweep_name) const;
  /// The last `failure` event of an attempt.
  [[nodiscard]] std::optional<ReportedFailure> FailureOf(const std::string& run_id,
                                                         int64_t attempt) const;
  /// Did this attempt save a checkpoint?
  [[nodiscard]] bool HasCheckpointed(const std::string& run_id, int64_t attempt) const;
  [[nodiscard]] int64_t EventOffset(const std::string& run_id, int64_t attempt) const;
  /// Any SELECT, as text; `parameters` bind ?1, ?2, …
  [[nodiscard]] QueryTable Query(const std::string& sql,
                                 const std::vector<std::string>& parameters = {}) const;
  /// The view `points`, whole.
  [[nodiscard]] QueryTable Points() const;
  /// "ok", or what SQLite's integrity and foreign-key checks found.
  [[nodiscard]] std::string IntegrityReport() const;

 private:
  friend class StoreTransaction;
  struct Impl;
  void Open(Access access);
  void OpenToWrite(bool beside);
  void RemoveDamagedJournalLines();

  std::filesystem::path root_;
  std::unique_ptr<Impl> impl_;
};

/// What was taken from the journal's tail.
struct Replay {
  IdSet runs;                      ///< that its lines are about
  bool is_whole = false;           ///< other runs may have changed too: the database never followed
                                   ///< the journal before, or a line is damaged
  bool changed = false;            ///< there was something to take
  std::vector<std::string> damaged;  ///< lines, with file and byte
  std::vector<std::string> odd;      ///< whole lines of which something could not be applied
};

/// Everything one cycle changes, together or not at all: rolled back by the destructor unless
/// committed. Changes that no file records go to the journal, which is synced before the database
/// commits.
class StoreTransaction {
 public:
  explicit StoreTransaction(Store& store);
  ~StoreTransaction();
  StoreTransaction(const StoreTransaction&) = delete;
  StoreTransaction& operator=(const StoreTransaction&) = delete;

  /// Runs that are there already are kept as they are; only their names in this sweep are added.
  void AddSweep(const SweepRow& sweep, double added_at);

  /// The one checked change of a run's state. An illegal one is a bug: Failure(kInternal).
  void Transition(const std::string& run_id,
                  RunState to,
                  const std::string& reason,
                  const std::string& failure_class = "",
                  const std::string& message = "");

  void StartAttempt(const OpenAttempt& attempt);
  void EndAttempt(const std::string& run_id, int64_t attempt, const AttemptEnd& end);

  // What run folders say; recording the same thing twice changes nothing.
  void RecordResult(const RunResult& result);
  /// Returns whether it was not known yet.
  bool RecordEvaluation(const EvaluationResult& evaluation);
  /// Events (as CheckEvent accepts them) already known by (run, attempt, seq) are skipped; `offset`
  /// is how far events.jsonl has been read. Returns the seqs under which another event is known.
  std::vector<int64_t> RecordEvents(const std::string& run_id,
                                    int64_t attempt,
                                    const std::vector<Json>& events,
                                    int64_t offset);

  /// A finished run's result is no longer on disk: the run is planned again, from whatever state.
  void LoseResult(const std::string& run_id, const std::string& reason);
  /// Likewise of an evaluation, which is missing again.
  void ForgetEvaluation(const std::string& eval_id);

  void AddImport(const std::string& import_id,
                 const std::string& name,
                 const std::string& format,
                 const std::vector<ImportedPoint>& points,
                 double added_at);
  /// The sweep's latest fits, by id, in the place of those before.
  void ReplaceFits(const std::string& sweep_id, const std::map<std::string, Json>& reports);

  /// Applies what the journal has and the database has not: the last acts before a crash, what
  /// happened since an old copy of the database was made, or all of them in a rebuild. Lines that
  /// are damaged, or cannot have come next because lines before them are lost, cost nothing but
  /// themselves.
  [[nodiscard]] Replay ReplayJournal();

  void Commit();

 private:
  friend class Store;
  void ApplyJournalEntry(const Json& entry);
  void Apply(const Json& entry);
  void ApplyTransition(const Json& entry);
  void ApplyAttemptStart(const Json& entry);
  void ApplyAttemptEnd(const Json& entry);
  void ApplyLostResult(const Json& entry);
  [[nodiscard]] RunState StateOf(const std::string& run_id);
  void MoveRun(const Json& entry, RunState from, RunState to);
  // In a replay: what is odd about an entry, or nothing; and the same of one that may be anything.
  [[nodiscard]] std::optional<std::string> ApplyAgain(const Json& entry);
  [[nodiscard]] std::string TroubleWith(const Json& entry);

  Store& store_;
  std::vector<Json> journal_entries_;
  bool committed_ = false;
};

/// Unix time in seconds.
[[nodiscard]] double UnixTime();

}  // namespace sweep
