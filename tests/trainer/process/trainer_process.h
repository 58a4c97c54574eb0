#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "core/event_log.h"
#include "core/files.h"
#include "core/json_fields.h"
#include "core/run_directory.h"
#include "tests/support/sample_specs.h"
#include "tests/support/temporary_directory.h"
#include "tests/trainer/small_data.h"

namespace sweep {

/// How much of a long test is done: `name` in the environment, or `otherwise`.
inline int NumberFromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::stoi(text) : otherwise;
}

/// A run folder as `sweep` makes it, on small data, and the real clip_train started on it.
class TestRun {
 public:
  explicit TestRun(const std::function<void(RunSpec&)>& change = [](RunSpec&) {})
      : data_(temporary_.path() / "data"), directory(temporary_.path() / "run") {
    spec = SampleRunSpec();
    spec.model.embed_dim = 16;
    spec.model.vision = {28, 14, 16, 2, 8, 2.0};
    spec.model.text = {16, 64, 16, 2, 2, 2.0};
    spec.data.content = data_.content();
    spec.data.data_scale = 40;
    spec.tokenizer.vocabulary = ContentIdOfFile(SceneVocabulary());
    spec.global_batch_size = 8;
    spec.samples_seen = 8 * 16;
    change(spec);
    MakeDirectories(directory.root());
    WriteFileAtomic(directory.spec(), SpecFileText(spec));
    request.run_id = RunId(spec);
    request.device = "cpu";
    request.locations = {{data_.content(), data_.folder().string()},
                         {spec.tokenizer.vocabulary, SceneVocabulary().string()}};
  }

  void AddEvaluation(const std::string& task, int64_t size, int64_t samples_seen) {
    EvaluationRequest evaluation;
    evaluation.spec = {task, "fashion_scenes", data_.content(), size, Json::object()};
    evaluation.samples_seen = samples_seen;
    evaluation.eval_dataset = task;
    evaluation.eval_id = EvaluationId(request.run_id, samples_seen, evaluation.spec);
    request.evaluations.push_back(evaluation);
  }

  /// Starts the next attempt and returns its process id.
  pid_t Start() {
    ++request.attempt;
    MakeDirectories(directory.attempt(request.attempt));
    WriteFileAtomic(directory.request(request.attempt), FieldsToJson(request).dump());
    const std::string program = std::string(SWEEP_BINARY_DIR) + "/bin/clip_train";
    const std::string number = std::to_string(request.attempt);
    const std::string log = (directory.attempt(request.attempt) / "stderr.log").string();
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ::dup2(fd, STDERR_FILENO);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    ::execl(program.c_str(), "clip_train", directory.root().c_str(), number.c_str(), nullptr);
    ::_exit(127);
  }

  /// Waits for it to end: its exit code, or minus the signal that killed it.
  static int Wait(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  int RunAttempt() { return Wait(Start()); }

  /// The newest attempt once more, as Slurm does when it requeues a job.
  int RequeueAttempt() {
    --request.attempt;
    return RunAttempt();
  }

  /// Waits until the attempt has an event that `wanted` accepts; false when the process ended
  /// first.
  bool AwaitEvent(pid_t child, const std::function<bool(const Json&)>& wanted) {
    while (true) {
      for (const Json& event : Events()) {
        if (wanted(event)) return true;
      }
      siginfo_t info = {};
      ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT);
      if (info.si_pid != 0) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  /// Whole events of the newest attempt.
  [[nodiscard]] std::vector<Json> Events() const {
    std::vector<Json> events;
    std::ifstream in(directory.events(request.attempt));
    for (std::string line; std::getline(in, line);) {
      EventLine parsed = ParseEventLine(line);
      if (parsed.status == EventLine::Status::kWhole) events.push_back(std::move(parsed.event));
    }
    return events;
  }

  [[nodiscard]] Json LastEvent(const std::string& type) const {
    Json last;
    for (const Json& event : Events()) {
      if (event.at("type") == type) last = event;
    }
    return last;
  }

  [[nodiscard]] std::string Stderr() const {
    return ReadFile(directory.attempt(request.attempt) / "stderr.log");
  }

  /// Bytes of one file of the checkpoint that result.json names.
  [[nodiscard]] std::string FinalFile(const std::string& name) const {
    return ReadFile(directory.root() / ReadResult(directory)->checkpoint / name);
  }

 private:
  TemporaryDirectory temporary_;
  SmallFashionData data_;

 public:
  RunSpec spec;
  AttemptRequest request;
  RunDirectory directory;
  std::map<std::string, std::string> environment;  ///< set for the attempts that are started
};

/// What a run leaves behind that must not depend on what disturbed it.
struct Outcome {
  std::string losses;
  std::string weights;
  std::string moments;
  std::vector<Json> metrics;  ///< of each evaluation that was asked for
  bool operator==(const Outcome&) const = default;
};

inline Outcome OutcomeOf(const TestRun& run) {
  Outcome outcome{run.FinalFile("history.safetensors"),
                  run.FinalFile("model.safetensors"),
                  run.FinalFile("optimizer.safetensors"),
                  {}};
  for (const EvaluationRequest& asked : run.request.evaluations) {
    const Json evaluation = ReadJsonFile(run.directory.evaluation(asked.eval_id).string());
    outcome.metrics.push_back(evaluation.at("metrics"));
  }
  return outcome;
}

}  // namespace sweep
