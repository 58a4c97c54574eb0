// Real training, really stopped, at random moments and by every signal that asks for it.
#include <catch2/catch.hpp>

#include <array>
#include <cstring>

#include "core/hash.h"
#include "tests/trainer/process/trainer_process.h"

namespace sweep {
namespace {

// Large enough that the process is within a matrix product most of the time.
void MakeWorkLarge(RunSpec& spec) {
  spec.model.embed_dim = 64;
  spec.model.vision = {28, 7, 64, 2, 32, 4.0};
  spec.model.text = {16, 64, 64, 2, 2, 4.0};
  spec.data.data_scale = 64;
  spec.global_batch_size = 32;
  spec.samples_seen = 32 * 200;
}

// Each checkpoint's files are what its manifest says, size and hash.
void CheckEachCheckpoint(const TestRun& run) {
  for (const CheckpointFolder& checkpoint : run.directory.CheckpointFolders()) {
    INFO(checkpoint.path.string());
    const Json manifest = ReadJsonFile((checkpoint.path / "manifest.json").string());
    const Json& files = manifest.at("files");
    CHECK_FALSE(files.empty());
    for (const auto& [name, stated] : files.items())
      CHECK(stated.at("sha256") == Sha256HexOfFile(checkpoint.path / name));
  }
}

// Starts the next attempt, lets it train for `pause`, sends `signal`; the exit code.
int TrainAndStop(TestRun& run, int signal, std::chrono::microseconds pause) {
  const pid_t child = run.Start();
  if (run.AwaitEvent(child, [](const Json& e) { return e.at("type") == "started"; })) {
    std::this_thread::sleep_for(pause);
    ::kill(child, signal);
    if (signal == SIGUSR1) {  // a checkpoint alone: what then stops it is another signal
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ::kill(child, SIGTERM);
    }
  }
  return TestRun::Wait(child);
}

}  // namespace

TEST_CASE("Training stopped at random moments saves whole checkpoints and ends in the same bytes",
          "[stops]") {
  const std::string library = GENERATE("onednn", "mkl");
  const int stops = NumberFromEnvironment("STOPS", 8);
  constexpr std::array kSignals = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  INFO(library);
  TestRun undisturbed(MakeWorkLarge);
  undisturbed.environment = {{"SWEEP_MATRIX_LIBRARY", library}};
  REQUIRE(undisturbed.RunAttempt() == 0);

  Random random(11);
  for (int stop = 0; stop < stops;) {
    TestRun run(MakeWorkLarge);
    run.environment = undisturbed.environment;
    for (int code = -1; code != 0; ++stop) {
      const int signal = kSignals[static_cast<size_t>(stop) % kSignals.size()];
      INFO("stop " << stop << " by signal " << signal);
      code = TrainAndStop(run, signal, std::chrono::microseconds(random.Below(600'000)));
      INFO(run.Stderr());
      REQUIRE((code == 130 || code == 0));
      if (code == 130) CHECK_FALSE(run.directory.CheckpointFolders().empty());
      CheckEachCheckpoint(run);
    }
    CHECK(OutcomeOf(run) == OutcomeOf(undisturbed));
  }
}

TEST_CASE("A process that waits for the run's lock or for its peers hears a signal at once") {
  TestRun run([](RunSpec& spec) { spec.samples_seen = 8 * 100'000; });
  SECTION("the lock") {
    const pid_t holder = run.Start();
    REQUIRE(run.AwaitEvent(holder, [](const Json& e) { return e.at("type") == "step"; }));
    run.request.lock_wait_seconds = 600;
    const pid_t waiting = run.Start();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ::kill(waiting, SIGTERM);
    CHECK(TestRun::Wait(waiting) == 130);
    ::kill(holder, SIGTERM);
    CHECK(TestRun::Wait(holder) == 130);
  }
  SECTION("the peers of a step of Slurm that never come") {
    run.request.processes = 2;
    run.request.launcher = "srun";
    run.environment = {{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}};
    const pid_t waiting = run.Start();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    ::kill(waiting, SIGINT);
    CHECK(TestRun::Wait(waiting) == 130);
    CHECK_THAT(run.Stderr(), Catch::Contains("waiting for the attempt's other processes"));
  }
}

TEST_CASE("Variables that a process inherited say nothing of its rank") {
  TestRun run;
  run.request.processes = GENERATE(1, 2);
  const std::string rank = GENERATE("0", "1");
  run.environment = {{"RANK", rank},
                     {"LOCAL_RANK", rank},
                     {"WORLD_SIZE", "2"},
                     {"MASTER_ADDR", "192.0.2.1"},
                     {"MASTER_PORT", "29500"},
                     {"CLIP_TRAIN_RANK", rank},
                     {"SLURM_PROCID", rank},
                     {"SLURM_LOCALID", rank},
                     {"SLURM_STEP_NUM_TASKS", "2"}};
  CHECK(run.RunAttempt() == 0);
}

TEST_CASE("A signal that was ignored when the program started (nohup) stays ignored") {
  TestRun run([](RunSpec& spec) { spec.samples_seen = 8 * 400; });
  const auto before = ::signal(SIGHUP, SIG_IGN);
  const pid_t child = run.Start();
  ::signal(SIGHUP, before);
  REQUIRE(run.AwaitEvent(child, [](const Json& e) { return e.at("type") == "step"; }));
  ::kill(child, SIGHUP);
  CHECK(TestRun::Wait(child) == 0);
}

TEST_CASE("A second SIGINT ends the process at once, and the next attempt goes on") {
  TestRun run([](RunSpec& spec) { spec.samples_seen = 8 * 100'000; });
  const pid_t child = run.Start();
  REQUIRE(run.AwaitEvent(child, [](const Json& e) { return e.at("type") == "step"; }));
  ::kill(child, SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(child, SIGINT);
  CHECK(TestRun::Wait(child) == 130);
  const pid_t next = run.Start();
  REQUIRE(run.AwaitEvent(next, [](const Json& e) { return e.at("type") == "step"; }));
  ::kill(next, SIGTERM);
  CHECK(TestRun::Wait(next) == 130);
}

}  // namespace sweep
