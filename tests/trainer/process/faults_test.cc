// The real program, disturbed by the preloaded tests/support/fault_shim.c at each of its calls that
// change files below its run's folder. Started again, it must end with the bytes of an undisturbed
// run. FAULT_EVERY=k takes every k-th call only.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <optional>

#include "core/failure.h"
#include "tests/trainer/process/trainer_process.h"
#include "trainer/checkpoint_folder.h"

namespace sweep {
namespace {

constexpr int64_t kSamples = 3 * 8;

// Each tensor is a write: with one layer there are fewer of them.
void MakeShort(RunSpec& spec) {
  spec.samples_seen = kSamples;
  spec.model.vision.layers = 1;
  spec.model.text.layers = 1;
}

/// Three steps with a checkpoint after each, of which the first is cleaned up, then two
/// evaluations.
class ShortRun : public TestRun {
 public:
  explicit ShortRun(int64_t processes = 1) : TestRun(MakeShort) {
    request.processes = processes;
    request.checkpoint_every_seconds = 0;
    AddEvaluation("zeroshot_classification", 50, kSamples);
    AddEvaluation("zeroshot_retrieval", 20, kSamples);
  }

  int CountCalls() {
    const auto count = outside_.path() / "count";
    Preload({{"FAULT_COUNT", count.string()}});
    REQUIRE(RunAttempt() == 0);
    return std::stoi(ReadFile(count));
  }

  /// How the first attempt ended; nullopt where the fault did not strike.
  std::optional<int> RunDisturbed(const std::string& kind, int call) {
    const auto mark = outside_.path() / "mark";
    Preload({{"FAULT", kind}, {"FAULT_AT", std::to_string(call)}, {"FAULT_MARK", mark.string()}});
    const int end = RunAttempt();
    environment.clear();
    return std::filesystem::exists(mark) ? std::optional(end) : std::nullopt;
  }

 private:
  void Preload(const std::map<std::string, std::string>& fault) {
    environment = fault;
    environment["LD_PRELOAD"] = SWEEP_FAULT_SHIM;
    environment["FAULT_PROGRAM"] = "clip_train";
    environment["FAULT_FOLDER"] = directory.root().string();
  }

  TemporaryDirectory outside_;
};

const Outcome& Undisturbed(int64_t processes) {
  static std::map<int64_t, Outcome> outcomes;
  if (!outcomes.contains(processes)) {
    ShortRun run(processes);
    REQUIRE(run.RunAttempt() == 0);
    outcomes.emplace(processes, OutcomeOf(run));
  }
  return outcomes.at(processes);
}

// What has a checkpoint's name is whole, or it could be taken for one.
void CheckThatNoCheckpointIsTorn(const TestRun& run) {
  for (const CheckpointFolder& folder : run.directory.CheckpointFolders())
    CHECK_NOTHROW(OpenCheckpoint(folder.path));
}

// Twice as `sweep` starts a run again: the same attempt after a requeue, or the next one.
void CheckThatItGoesOn(TestRun& run, bool requeued) {
  CHECK((requeued ? run.RequeueAttempt() : run.RunAttempt()) == 0);
  CHECK(OutcomeOf(run) == Undisturbed(run.request.processes));
  CheckThatNoCheckpointIsTorn(run);
}

using EndCheck = std::function<void(const TestRun&, int)>;

void DisturbEveryCall(const std::string& kind, const EndCheck& check_end, int64_t processes = 1) {
  const int calls = ShortRun().CountCalls();  // of the process that writes
  REQUIRE(calls > 100);
  const int every = NumberFromEnvironment("FAULT_EVERY", 41);
  int disturbed = 0;
  for (int call = 1; call <= calls; call += every) {
    INFO(kind << " at call " << call << " of " << calls);
    ShortRun run(processes);
    const std::optional<int> end = run.RunDisturbed(kind, call);
    if (!end) continue;  // this time it took fewer calls
    ++disturbed;
    check_end(run, *end);
    CheckThatNoCheckpointIsTorn(run);
    CheckThatItGoesOn(run, call % 2 == 0);
  }
  CHECK(disturbed > calls / every * 3 / 4);
}

void WasKilled(const TestRun&, int end) {
  CHECK(end == -SIGKILL);
}

// What could not be written may have been for nobody, such as a file that was to be removed.
EndCheck EndsWith(FailureCode code, const std::string& text) {
  return [code, text](const TestRun& run, int end) {
    if (end == 0) return;
    CHECK(end == static_cast<int>(code));
    CHECK_THAT(run.Stderr(), Catch::Contains(text));
  };
}

// As above, and `sweep` is told so by an event, unless there are no events at all.
EndCheck IsReported(FailureCode code, const std::string& text, const std::string& event_class) {
  return [=](const TestRun& run, int end) {
    EndsWith(code, text)(run, end);
    if (end == 0 || !std::filesystem::exists(run.directory.events(1))) return;
    const Json failure = run.LastEvent("failure");
    CHECK((failure.is_object() && failure.at("class") == event_class));
  };
}

constexpr const char* kNoRoom = "No space left on device";
constexpr const char* kBroken = "Input/output error";

}  // namespace

TEST_CASE("A trainer killed at any change of a file goes on", "[.every_call]") {
  DisturbEveryCall("kill", WasKilled);
}

TEST_CASE("A trainer killed in the middle of any write goes on", "[.every_call]") {
  DisturbEveryCall("torn", WasKilled);
}

TEST_CASE("A trainer whose disk is full from a call on goes on when there is room",
          "[.every_call]") {
  DisturbEveryCall("enospc", EndsWith(FailureCode::kDiskFull, kNoRoom));
}

TEST_CASE("A trainer without room for a call reports disk_full and goes on", "[.every_call]") {
  DisturbEveryCall("enospc_once", IsReported(FailureCode::kDiskFull, kNoRoom, "disk_full"));
}

TEST_CASE("A trainer whose disk fails from a call on goes on when it works again",
          "[.every_call]") {
  DisturbEveryCall("eio", EndsWith(FailureCode::kDatabase, kBroken));
}

TEST_CASE("Two processes of which one is killed at a change of a file, or finds no room, go on",
          "[.every_call]") {
  DisturbEveryCall("kill", WasKilled, 2);
  DisturbEveryCall("enospc_once", IsReported(FailureCode::kDiskFull, kNoRoom, "disk_full"), 2);
}

TEST_CASE("A trainer whose disk fails once reports it and goes on", "[.every_call]") {
  DisturbEveryCall("eio_once", IsReported(FailureCode::kDatabase, kBroken, "io"));
}

}  // namespace sweep
