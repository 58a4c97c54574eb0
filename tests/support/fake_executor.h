#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/json_fields.h"
#include "core/run_directory.h"
#include "db/lease.h"
#include "orchestrator/executor.h"

namespace sweep {

/// Plays trainers without processes or time: each attempt ends at the next Poll, doing to its run
/// folder what `script` says and exiting with the code it returns.
class FakeExecutor : public Executor {
 public:
  using Script = std::function<int(const RunDirectory& directory, const AttemptRequest& request)>;
  FakeExecutor(size_t slots, Script script) : slots_(slots), script_(std::move(script)) {}

  [[nodiscard]] std::string name() const override { return "fake"; }
  [[nodiscard]] size_t Room() const override {
    return waiting_.size() < slots_ ? slots_ - waiting_.size() : 0;
  }
  AttemptHandle Start(const AttemptJob& job) override {
    if (on_start) on_start(job);
    started.push_back(job.run_id);
    waiting_.push_back(job);
    return {};
  }
  void Adopt(const AttemptJob& job, const AttemptHandle& /*handle*/) override {
    waiting_.push_back(job);
  }
  [[nodiscard]] std::vector<AttemptNews> Poll(std::chrono::milliseconds /*timeout*/) override {
    if (waiting_.empty()) return {};
    const AttemptJob job = waiting_.front();
    waiting_.pop_front();
    const RunDirectory directory(job.argv.at(job.argv.size() - 2));
    AttemptNews start;
    start.run_id = job.run_id;
    start.attempt = job.attempt;
    start.kind = AttemptNews::Kind::kRunning;
    start.handle = {HostName(), static_cast<int64_t>(started.size()), ""};
    AttemptNews end;
    end.run_id = job.run_id;
    end.attempt = job.attempt;
    end.exit_code = script_(directory, ReadAttemptRequest(directory, job.attempt));
    end.cause = cause;
    return {start, end};
  }
  void Stop(StopMode /*mode*/) override {}
  [[nodiscard]] bool OutlivesSweep() const override { return false; }
  [[nodiscard]] size_t running() const override { return waiting_.size(); }

  std::function<void(const AttemptJob& job)> on_start;
  std::string cause;                 ///< of every end
  std::vector<std::string> started;  ///< run ids in the order they were started

 private:
  size_t slots_;
  Script script_;
  std::deque<AttemptJob> waiting_;
};

/// What a trainer that does its whole work leaves behind.
inline int TrainWell(const RunDirectory& directory, const AttemptRequest& request) {
  const RunSpec spec = ReadSpecFile(directory);
  const auto checkpoint =
      directory.checkpoints(request.attempt) / CheckpointName(spec.samples_seen);
  MakeDirectories(checkpoint);
  RunResult result;
  result.run_id = request.run_id;
  result.attempt = request.attempt;
  result.outcome = "completed";
  result.samples_seen = spec.samples_seen;
  result.final_loss = 1.5;
  result.checkpoint = std::filesystem::relative(checkpoint, directory.root()).string();
  PublishFileOnce(directory.result(), FieldsToJson(result).dump());
  for (const EvaluationRequest& wanted : request.evaluations) {
    EvaluationResult evaluation;
    evaluation.eval_id = wanted.eval_id;
    evaluation.run_id = request.run_id;
    evaluation.samples_seen = wanted.samples_seen;
    evaluation.eval_dataset = wanted.eval_dataset;
    evaluation.spec = wanted.spec;
    evaluation.metrics["acc1"] = MetricValue{0.5, wanted.spec.size};
    PublishFileOnce(directory.evaluation(wanted.eval_id), FieldsToJson(evaluation).dump());
  }
  return 0;
}

}  // namespace sweep
