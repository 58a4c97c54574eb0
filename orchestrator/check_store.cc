#include "orchestrator/check_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>

#include "core/failure.h"
#include "db/lease.h"
#include "db/store.h"
#include "orchestrator/take_in_files.h"

namespace sweep {
namespace {

constexpr size_t kMostDifferencesTold = 20;
constexpr const char* kRebuildAdvice =
    "`sweep db rebuild` makes sweep.db anew from the store's files and takes damaged lines out of "
    "the journal (what they recorded is lost, results are not); the old ones stay as sweep.db.old "
    "and journal.jsonl.old";
constexpr const char* kRunAdvice =
    "after that, `sweep run` with its sweep file makes again what is missing or damaged of a "
    "sweep, and `sweep import` an import; or restore the files from a backup";

// Rows that both databases should have alike: what they are of, then what they say.
struct Comparison {
  const char* what;
  const char* sql;  ///< the first column names the row
};
constexpr Comparison kComparisons[] = {
    {"sweep", "SELECT sweep_id, name FROM sweeps"},
    {"import", "SELECT import_id, rows FROM imports"},
    {"run", "SELECT run_id, state, checkpoint, final_loss, train_seconds, spec FROM runs"},
    {"run of a sweep",
     "SELECT sweep_id || ' ' || run_id, curve, model, dataset, point_kind, coordinates FROM "
     "sweep_runs"},
    {"evaluation",
     "SELECT eval_id, run_id, segment_samples_seen, task, eval_dataset, spec FROM evaluations"},
    {"measurement", "SELECT eval_id || ' ' || metric, value, sample_size FROM measurements"},
    {"imported point",
     "SELECT import_id || ' ' || position, curve, run, compute_gmacs, metric, value FROM "
     "imported_points"},
};

std::map<std::string, std::vector<std::string>> RowsOf(const Store& store, const char* sql) {
  std::map<std::string, std::vector<std::string>> rows;
  for (auto& row : store.Query(sql).rows) rows.emplace(row.front(), row);
  return rows;
}

void CompareRows(const Comparison& comparison,
                 const Store& index,
                 const Store& files,
                 std::vector<std::string>& problems) {
  const auto indexed = RowsOf(index, comparison.sql);
  const auto found = RowsOf(files, comparison.sql);
  const size_t before = problems.size();
  size_t differ = 0;
  const auto tell = [&](const std::string& problem) {
    if (++differ <= kMostDifferencesTold) problems.push_back(problem);
  };
  for (const auto& [name, row] : found) {
    const auto other = indexed.find(name);
    if (other == indexed.end())
      tell(fmt::format("{} {}: the files have it, sweep.db has not", comparison.what, name));
    else if (other->second != row)
      tell(
          fmt::format("{} {}: sweep.db says something else than the files", comparison.what, name));
  }
  for (const auto& [name, row] : indexed) {
    if (!found.contains(name))
      tell(fmt::format(
          "{} {}: sweep.db has it, no file that can be read has", comparison.what, name));
  }
  if (differ > kMostDifferencesTold)
    problems.push_back(fmt::format("{} more of this kind", before + differ - problems.size()));
}

void CompareJournal(const Store& index, const Store& files, std::vector<std::string>& problems) {
  const int64_t followed = index.JournalOffset().value_or(0);
  const int64_t end = files.JournalOffset().value_or(0);
  if (followed != end)
    problems.push_back(
        fmt::format("sweep.db has followed journal.jsonl up to byte {}, and its lines end at {}",
                    followed,
                    end));
}

// Of a database that can be read, what differs from what the files say.
void Compare(const std::filesystem::path& root, const Store& files, StoreCheck& check) {
  const Store index(root, Store::Access::kRead);
  check.index = index.IntegrityReport();
  if (check.index != "ok") {
    check.problems.push_back(fmt::format("{}: {}", (root / "sweep.db").string(), check.index));
    return;
  }
  check.evaluations_without_checksum = index.UncheckedEvaluations();
  check.compared = !LeaseHolder(root).has_value();
  if (!check.compared) return;
  CompareJournal(index, files, check.problems);
  for (const Comparison& comparison : kComparisons)
    CompareRows(comparison, index, files, check.problems);
}

}  // namespace

StoreCheck CheckStore(const std::filesystem::path& root) {
  if (!Store::Exists(root))
    throw Failure(FailureCode::kData, fmt::format("no store at {}", root.string()));
  StoreCheck check;
  Store files(root, Store::Access::kCheck);
  FileTroubles troubles = TakeInFiles(files);
  check.problems = std::move(troubles.damaged);
  check.remarks = std::move(troubles.remarks);
  try {
    Compare(root, files, check);
  } catch (const Failure& failure) {
    check.index = failure.what();
    check.problems.emplace_back(failure.what());
  }
  if (!check.problems.empty()) check.advice = {kRebuildAdvice, kRunAdvice};
  return check;
}

}  // namespace sweep
