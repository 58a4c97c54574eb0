#include "orchestrator/lost_files.h"

#include <fmt/format.h>

#include <optional>

#include "core/failure.h"
#include "core/files.h"
#include "orchestrator/run_folder.h"

namespace sweep {
namespace {

// What is wrong with a file that `read` reads; empty: nothing.
template <class Read>
std::string TroubleWith(const std::filesystem::path& path, const Read& read) {
  if (!IsTaken(path)) return fmt::format("{} is no longer there", path.string());
  try {
    read();
    return "";
  } catch (const Failure& failure) {
    if (!IsAboutTheFile(failure)) throw;
    return failure.what();
  }
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
    const std::string trouble = TroubleWith(directory.result(), [&] {
      (void)ReadResultOf(directory, run.run_id, run.spec.samples_seen);
    });
    if (trouble.empty()) return;
    notes_.push_back(fmt::format("run {} is made again: {}", run.run_id, trouble));
    Changes().LoseResult(run.run_id, "its result is lost: " + trouble);
  }

  void LookAtEvaluation(const RunRow& run, const EvaluationRequest& evaluation) {
    // Its label was compared when it was taken in.
    const auto path = store_.run_directory(run.run_id).evaluation(evaluation.eval_id);
    const std::string trouble = TroubleWith(path, [&] { (void)ReadEvaluationResult(path); });
    if (trouble.empty()) return;
    notes_.push_back(fmt::format("run {}, evaluation {} is made again: {}",
                                 run.run_id,
                                 evaluation.eval_dataset,
                                 trouble));
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
