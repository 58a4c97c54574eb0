#include "orchestrator/attempt_verdict.h"

#include <fmt/format.h>

#include <cstring>

#include "core/failure.h"
#include "core/printable.h"
#include "orchestrator/ingest.h"

namespace sweep {
namespace {

// A shell says of a child that was killed by signal n that it ended with 128 + n.
std::optional<int> SignalOf(const ProcessEnd& end) {
  constexpr int kSignalled = 128;
  if (end.signal || !end.exit_code || *end.exit_code <= kSignalled) return end.signal;
  return *end.exit_code - kSignalled;
}

// A trainer that could say what went wrong has left a `failure` event; else the exit speaks.
AttemptVerdict JudgeFailure(const std::optional<ReportedFailure>& reported,
                            const ProcessEnd& end,
                            const std::string& log) {
  AttemptVerdict verdict;
  if (reported) {
    verdict.failure_class = reported->failure_class;
    verdict.message = reported->message;
  } else if (const auto signal = SignalOf(end)) {
    verdict.failure_class = "crashed";
    verdict.message =
        fmt::format("killed by signal {} ({}); see {}", *signal, strsignal(*signal), log);
  } else if (end.exit_code == static_cast<int>(FailureCode::kDatabase)) {
    verdict.failure_class = "io";
  } else if (end.exit_code == static_cast<int>(FailureCode::kUsage)) {
    verdict.failure_class = "bad_spec";
  } else if (end.exit_code == static_cast<int>(FailureCode::kData)) {
    verdict.failure_class = "data";
  } else {
    verdict.failure_class = "error";
  }
  if (verdict.message.empty()) {
    verdict.message =
        end.exit_code == 0
            ? fmt::format("the trainer ended well but published no result; see {}", log)
            : fmt::format(
                  "the trainer ended with exit code {}; see {}", end.exit_code.value_or(-1), log);
  }
  // An error of the program (`error`) would only come again.
  verdict.worth_retrying = verdict.failure_class == "crashed" || verdict.failure_class == "io";
  return verdict;
}

constexpr const char* kDiskFullClass = "disk_full";

// By its event alone: a trainer that could not even write that filled the disk for `sweep` too.
bool FoundNoRoom(const std::optional<ReportedFailure>& reported) {
  return reported && reported->failure_class == kDiskFullClass;
}

// Whoever holds the run may bring it to its end.
bool FoundAnother(const ProcessEnd& end) {
  return end.exit_code == static_cast<int>(FailureCode::kStoreHeld);
}

// Not the run's fault: it goes on from its last checkpoint once there is room.
AttemptVerdict JudgeDiskFull(const ReportedFailure& reported) {
  AttemptVerdict verdict;
  verdict.verdict = Verdict::kInterrupted;
  verdict.counts = false;
  verdict.disk_full = true;
  verdict.failure_class = kDiskFullClass;
  verdict.message = reported.message;
  return verdict;
}

bool IsInterruption(const std::string& cause) {
  return cause == "preempted" || cause == "node_failure" || cause == "lost" ||
         cause == "not_submitted";
}

// The end was not the trainer's doing.
AttemptVerdict JudgeCause(const std::string& cause, bool checkpointed) {
  AttemptVerdict verdict;
  if (cause == "cancelled") {
    verdict.verdict = Verdict::kCancelled;
    verdict.failure_class = cause;
    verdict.message = "its job was cancelled; `sweep run --retry-failed` starts it again";
  } else if (IsInterruption(cause) || (cause == "time_limit" && checkpointed)) {
    verdict.verdict = Verdict::kInterrupted;
    verdict.counts = !checkpointed && cause != "not_submitted";
  } else if (cause == "time_limit") {
    verdict.failure_class = cause;
    verdict.message =
        "the time limit came before the first checkpoint: raise executor.time_limit or lower "
        "trainer.checkpoint_every_seconds";
  } else {
    verdict.failure_class = cause;
    verdict.message = "its scheduler ended it: " + cause;
  }
  return verdict;
}

// The trainer says that it did its work, and left this in its place. To try it again would only
// bring it again; the file is moved aside when somebody asks for that.
AttemptVerdict JudgeBadResult(const std::string& what) {
  AttemptVerdict verdict;
  verdict.failure_class = "bad_result";
  verdict.message = what;
  return verdict;
}

AttemptVerdict Judge(const IngestedRun& ingested,
                     const std::optional<ReportedFailure>& reported,
                     const ProcessEnd& end,
                     const std::string& missing,
                     bool checkpointed,
                     const std::string& log) {
  AttemptVerdict verdict;
  if (ingested.result) {
    const bool diverged = ingested.result->outcome == "diverged";
    verdict.verdict = diverged ? Verdict::kDiverged : Verdict::kTrained;
    verdict.message = Printable(ingested.result->message);
    if (diverged || end.asked_to_stop || end.lost) return verdict;
    if (end.exit_code == 0) {
      if (missing.empty()) return verdict;
      verdict.failure_class = "evaluation";
      verdict.message = missing;
      return verdict;
    }
    // Trained, but the process went on to an evaluation that was broken off or failed.
    if (IsInterruption(end.cause)) {
      verdict.failure_class = end.cause;
      verdict.worth_retrying = true;
    } else {
      const AttemptVerdict failure =
          FoundNoRoom(reported) ? JudgeDiskFull(*reported) : JudgeFailure(reported, end, log);
      verdict.disk_full = failure.disk_full;
      verdict.counts = failure.counts;
      verdict.failure_class = failure.failure_class;
      verdict.message = failure.message;
      verdict.worth_retrying = failure.worth_retrying;
    }
    return verdict;
  }
  if (!ingested.bad_result.empty() && !end.asked_to_stop && !end.lost)
    return JudgeBadResult(ingested.bad_result);
  if (!end.cause.empty() && !end.asked_to_stop) return JudgeCause(end.cause, checkpointed);
  if (end.asked_to_stop || end.lost || FoundAnother(end) ||
      end.exit_code == static_cast<int>(FailureCode::kInterrupted)) {
    verdict.verdict = Verdict::kInterrupted;
    verdict.counts = !checkpointed;
    if (FoundAnother(end)) verdict.message = "another trainer is at work on it; see " + log;
    return verdict;
  }
  if (FoundNoRoom(reported)) return JudgeDiskFull(*reported);
  return JudgeFailure(reported, end, log);
}

// Evaluations that were asked for and are not in the store; empty: none.
std::string MissingText(const Store& store,
                        const std::string& run_id,
                        const std::vector<const EvaluationRequest*>& asked) {
  const IdSet finished = store.FinishedEvaluations(run_id);
  std::string files;
  for (const EvaluationRequest* evaluation : asked) {
    if (finished.contains(evaluation->eval_id)) continue;
    const auto path = store.run_directory(run_id).evaluation(evaluation->eval_id);
    files += fmt::format(
        "{}{} ({})", files.empty() ? "" : ", ", path.string(), evaluation->eval_dataset);
  }
  if (files.empty()) return files;
  return fmt::format(
      "the trainer ended well, but not there or damaged: {}; the next `sweep run` "
      "makes them again",
      files);
}

std::string OutcomeWord(const AttemptVerdict& verdict, const ProcessEnd& end) {
  if (end.lost || end.cause == "lost") return "lost";
  switch (verdict.verdict) {
    case Verdict::kTrained:
      return verdict.failure_class.empty() ? "succeeded" : "failed";
    case Verdict::kDiverged:
      return "succeeded";
    case Verdict::kInterrupted:
    case Verdict::kCancelled:
      return "interrupted";
    case Verdict::kFailed:
      return "failed";
  }
  return "failed";
}

void MoveRun(const Store& store,
             StoreTransaction& transaction,
             const std::string& run_id,
             const AttemptVerdict& verdict,
             int64_t attempt) {
  const RunState now = store.FindRun(run_id)->state;
  if (now == RunState::kCompleted) return;  // the attempt was for evaluations
  const std::string attempt_text = fmt::format("attempt {}", attempt);
  switch (verdict.verdict) {
    case Verdict::kTrained:
      transaction.Transition(run_id, RunState::kCompleted, attempt_text + " published a result");
      return;
    case Verdict::kDiverged:
      if (now == RunState::kDiverged) return;
      transaction.Transition(
          run_id, RunState::kDiverged, attempt_text + " diverged", "diverged", verdict.message);
      return;
    case Verdict::kInterrupted:
      if (now == RunState::kPlanned) return;
      transaction.Transition(run_id, RunState::kPlanned, attempt_text + " was interrupted");
      return;
    case Verdict::kCancelled:
      transaction.Transition(run_id,
                             RunState::kCancelled,
                             attempt_text + " was cancelled",
                             verdict.failure_class,
                             verdict.message);
      return;
    case Verdict::kFailed:
      transaction.Transition(run_id,
                             RunState::kFailed,
                             attempt_text + " failed",
                             verdict.failure_class,
                             verdict.message);
      return;
  }
}

}  // namespace

AttemptVerdict CloseAttempt(const Store& store,
                            StoreTransaction& transaction,
                            const std::string& run_id,
                            int64_t attempt,
                            const ProcessEnd& end,
                            const std::vector<const EvaluationRequest*>& asked,
                            std::vector<std::string>& notes) {
  const IngestedRun ingested = IngestRun(store, transaction, run_id);
  const std::vector<std::string> warnings = ingested.Warnings();
  notes.insert(notes.end(), warnings.begin(), warnings.end());
  const std::string log = (store.run_directory(run_id).attempt(attempt) / "stderr.log").string();
  AttemptVerdict verdict = Judge(ingested,
                                 store.FailureOf(run_id, attempt),
                                 end,
                                 MissingText(store, run_id, asked),
                                 store.HasCheckpointed(run_id, attempt),
                                 log);
  transaction.EndAttempt(run_id,
                         attempt,
                         {OutcomeWord(verdict, end),
                          end.exit_code,
                          end.signal,
                          verdict.failure_class,
                          verdict.message});
  MoveRun(store, transaction, run_id, verdict, attempt);
  return verdict;
}

}  // namespace sweep
