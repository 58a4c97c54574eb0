#include "orchestrator/lost_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "core/failure.h"
#include "core/files.h"
#include "core/printable.h"
#include "orchestrator/run_folder.h"

namespace sweep {
namespace {

// What of a finished run's files is wrong so that it is lost; empty: nothing.
template <class Read>
std::string LossOf(const std::filesystem::path& path, const Read& read) {
  constexpr size_t kMostToldBytes = 1000;
  if (!IsTaken(path)) return fmt::format("{} is no longer there", path.string());
  try {
    read();
    return "";
  } catch (const Failure& failure) {
    if (!IsAboutTheFile(failure)) throw;
    return Printable(failure.what(), kMostToldBytes);
  }
}

// Not to whoever may not read it, to whom nothing is lost.
bool IsForbidden(const std::filesystem::path& path) {
  return ::access(path.c_str(), R_OK) != 0 && (errno == EACCES || errno == EPERM);
}

class LostFiles {
 public:
  LostFiles(Store& store, std::vector<std::string>& notes) : store_(store), notes_(notes) {}

  void LookAt(const SweepRow& sweep) {
    const RunStates states = store_.States();
    const IdSet evaluated = store_.FinishedEvaluations();
    for (const RunRow& run : sweep.runs) {
      const auto state = states.find(run.run_id);
      if (state == states.end()) continue;
      LookAtResult(run, state->second);
      for (const EvaluationRequest& evaluation : run.evaluations) {
        if (evaluated.contains(evaluation.eval_id)) LookAtEvaluation(run, evaluation);
      }
    }
    if (transaction_) transaction_->Commit();
  }

 private:
  void LookAtResult(const RunRow& run, RunState state) {
    if (state != RunState::kCompleted && state != RunState::kDiverged) return;
    const RunDirectory directory = store_.run_directory(run.run_id);
    if (IsForbidden(directory.result())) return;
    const std::string loss = LossOf(directory.result(), [&] {
      (void)ReadResultOf(directory, run.run_id, run.spec.samples_seen);
    });
    if (loss.empty()) return;
    notes_.push_back(fmt::format("run {} is made again: {}", run.run_id, loss));
    Changes().LoseResult(run.run_id, "its result is lost: " + loss);
  }

  void LookAtEvaluation(const RunRow& run, const EvaluationRequest& evaluation) {
    // Its label was compared when it was taken in.
    const auto path = store_.run_directory(run.run_id).evaluation(evaluation.eval_id);
    if (IsForbidden(path)) return;
    const std::string loss = LossOf(path, [&] { (void)ReadEvaluationResult(path); });
    if (loss.empty()) return;
    notes_.push_back(fmt::format(
        "run {}, evaluation {} is made again: {}", run.run_id, evaluation.eval_dataset, loss));
    Changes().ForgetEvaluation(evaluation.eval_id);
  }

  StoreTransaction& Changes() {
    if (!transaction_) transaction_.emplace(store_);
    return *transaction_;
  }

  Store& store_;
  std::vector<std::string>& notes_;
  std::optional<StoreTransaction> transaction_;
};

}  // namespace

void ForgetLostFiles(Store& store, const SweepRow& sweep, std::vector<std::string>& notes) {
  LostFiles(store, notes).LookAt(sweep);
}

}  // namespace sweep
