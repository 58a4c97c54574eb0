// The real program beside files that it did not write as they are: weights that are no numbers,
// pipes in the place of files, a limit on the size of files.
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <limits>

#include "core/hash.h"
#include "tests/trainer/process/trainer_process.h"
#include "trainer/checkpoint_folder.h"
#include "trainer/safetensors.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

// Puts one value that is no number into a safetensors file.
void Spoil(const fs::path& path) {
  std::string content = ReadFile(path);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(content.data() + content.size() - sizeof nan, &nan, sizeof nan);
  WriteFileAtomic(path, content);
}

// The newest checkpoint with weights that are no numbers, and a manifest that says so: as a trainer
// with a fault would have written it.
fs::path SpoilNewestCheckpoint(const RunDirectory& directory) {
  const fs::path folder = directory.CheckpointFolders().front().path;
  Spoil(folder / "model.safetensors");
  Json manifest = ReadJsonFile((folder / "manifest.json").string());
  manifest["files"]["model.safetensors"]["sha256"] = Sha256HexOfFile(folder / "model.safetensors");
  manifest.erase("sha256");
  manifest["sha256"] = Sha256Hex(manifest.dump());
  WriteFileAtomic(folder / "manifest.json", manifest.dump());
  REQUIRE_NOTHROW(OpenCheckpoint(folder));
  return folder;
}

// Its exit code, or -SIGKILL where it had not ended after a minute.
int WaitOneMinute(pid_t child) {
  for (int i = 0; i < 6000; ++i) {
    siginfo_t info = {};
    ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT);
    if (info.si_pid != 0) return TestRun::Wait(child);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ::kill(child, SIGKILL);
  return TestRun::Wait(child);
}

void ReplaceByPipe(const fs::path& path) {
  fs::remove(path);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
}

}  // namespace

TEST_CASE("Starting weights that are no numbers are named, and nothing is trained") {
  TestRun parent;
  REQUIRE(parent.RunAttempt() == 0);
  const fs::path weights =
      parent.directory.root() / ReadResult(parent.directory)->checkpoint / "model.safetensors";
  Spoil(weights);
  const std::string content = ContentIdOfFile(weights);
  TestRun run([&](RunSpec& spec) { spec.start.file = content; });
  run.request.locations[content] = weights.string();
  CHECK(run.RunAttempt() == static_cast<int>(FailureCode::kData));
  const Json failure = run.LastEvent("failure");
  CHECK(failure.at("class") == "data");
  CHECK_THAT(failure.at("message").get<std::string>(),
             Catch::Contains(weights.string() + ": tensor '") && Catch::Contains("not finite"));
  CHECK(run.LastEvent("step").is_null());
}

TEST_CASE("A checkpoint whose weights are no numbers is passed over by name") {
  TestRun undisturbed;
  REQUIRE(undisturbed.RunAttempt() == 0);
  TestRun run;
  run.request.checkpoint_every_seconds = 0;
  const pid_t child = run.Start();
  REQUIRE(run.AwaitEvent(child, [](const Json& e) {
    return e.at("type") == "checkpoint" && e.at("samples_seen") >= 40;
  }));
  ::kill(child, SIGKILL);
  REQUIRE(TestRun::Wait(child) == -SIGKILL);
  const fs::path spoilt = SpoilNewestCheckpoint(run.directory);
  REQUIRE(run.RunAttempt() == 0);
  CHECK_THAT(run.Stderr(),
             Catch::Contains("passing over a checkpoint: " + spoilt.string()) &&
                 Catch::Contains("not finite"));
  CHECK(OutcomeOf(run) == OutcomeOf(undisturbed));
}

TEST_CASE(
    "A pipe in the place of any file that a trainer opens ends the attempt, and is not waited "
    "for") {
  const auto file_of = [](TestRun& run, int which) -> fs::path {
    if (which == 0) return run.directory.lock();
    if (which == 1) return run.directory.events(1);
    if (which == 2) return run.directory.spec();
    if (which == 3) return run.directory.result();
    const fs::path copy = run.directory.root().parent_path() / "vocabulary.json";
    run.request.locations[run.spec.tokenizer.vocabulary] = copy.string();
    return copy;
  };
  for (int which = 0; which < 5; ++which) {
    TestRun run;
    const fs::path path = file_of(run, which);
    INFO(path.string());
    MakeDirectories(path.parent_path());
    ReplaceByPipe(path);
    const int code = WaitOneMinute(run.Start());
    INFO(run.Stderr());
    CHECK(code > 0);
    CHECK(code != static_cast<int>(FailureCode::kInternal));
    CHECK_THAT(run.Stderr(), Catch::Contains(path.filename().string()));
  }
}

TEST_CASE("A limit on the size of files is told as a full disk, and the run goes on without it") {
  TestRun undisturbed;
  REQUIRE(undisturbed.RunAttempt() == 0);
  TestRun run;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{20'000, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const pid_t child = run.Start();
  ::setrlimit(RLIMIT_FSIZE, &before);
  CHECK(TestRun::Wait(child) == static_cast<int>(FailureCode::kDiskFull));
  CHECK(run.LastEvent("failure").at("class") == "disk_full");
  CHECK(run.directory.CheckpointFolders().empty());
  CHECK(run.RunAttempt() == 0);
  CHECK(OutcomeOf(run) == OutcomeOf(undisturbed));
}

}  // namespace sweep
