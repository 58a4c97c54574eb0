// Users' errors: each is one line and exit code 2, whatever the program was about to do.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>

#include "tests/trainer/process/trainer_process.h"

namespace sweep {
namespace {

struct Said {
  int code = 0;
  std::string text;  // both streams
};

Said ClipTrain(const std::string& arguments) {
  const std::string command =
      std::string(SWEEP_BINARY_DIR) + "/bin/clip_train " + arguments + " 2>&1";
  Said said;
  FILE* const pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t read = 0; (read = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    said.text.append(buffer, read);
  const int status = ::pclose(pipe);
  said.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return said;
}

void CheckRefused(const std::string& arguments, const std::string& wanted) {
  INFO(arguments);
  const Said said = ClipTrain(arguments);
  CHECK(said.code == 2);
  CHECK_THAT(said.text, Catch::Contains(wanted));
  CHECK(std::ranges::count(said.text, '\n') == 1);
}

}  // namespace

TEST_CASE("bench refuses numbers that cannot be, naming the option") {
  const std::string models = std::string(SWEEP_SOURCE_DIR) + "/sweeps/models/scenes.json";
  const std::string bench = "bench --seconds 0.1 --model " + models;
  const std::string model = bench + " --name scenes-xs ";
  CheckRefused(model + "--batch 0", "--batch is 0, expected at least 1");
  CheckRefused(model + "--batch -4", "--batch is -4, expected at least 1");
  CheckRefused(model + "--batch 1 --processes 2",
               "--processes is 2, expected a divisor of --batch, 1");
  CheckRefused(model + "--batch 7 --processes 2",
               "--processes is 2, expected a divisor of --batch, 7");
  CheckRefused(model + "--processes 0", "--processes is 0");
  CheckRefused(model + "--threads 0", "--threads is 0, expected at least 1");
  CheckRefused(model + "--micro-batch -3", "--micro-batch is -3, expected at least 0");
  CheckRefused(model + "--device gpu", "--device is 'gpu', expected auto, cpu or cuda");
  CheckRefused(bench, "--name is missing; it has scenes-l, scenes-m");
  CheckRefused(bench + " --name nosuch", "no model 'nosuch' (--name); it has scenes-l");
}

TEST_CASE("Folders that are not there are said to be missing, and none is made") {
  const TemporaryDirectory folder;
  const std::string nosuch = (folder.path() / "nosuch").string();
  CheckRefused(nosuch + " 1", "nosuch: no run folder");
  CHECK_FALSE(std::filesystem::exists(nosuch));
  CheckRefused(folder.path().string() + " 1", "has no attempt 1");
  CheckRefused("make_shards --folder " + nosuch + " " + folder.path().string() + "/out",
               "there is no folder");
}

TEST_CASE("An attempt.json with numbers that cannot be is refused as bad_spec") {
  const std::vector<std::pair<std::string, std::function<void(AttemptRequest&)>>> cases = {
      {"data_threads is 0, expected at least 1", [](auto& r) { r.data_threads = 0; }},
      {"threads is 0, expected at least 1", [](auto& r) { r.threads = 0; }},
      {"micro_batch is -5, expected at least 0", [](auto& r) { r.micro_batch = -5; }},
      {"processes is 0, expected at least 1", [](auto& r) { r.processes = 0; }}};
  for (const auto& [wanted, change] : cases) {
    TestRun run;
    change(run.request);
    CHECK(run.RunAttempt() == 2);
    CHECK_THAT(run.Stderr(), Catch::Contains("attempt.json: " + wanted));
    CHECK(std::ranges::count(run.Stderr(), '\n') == 1);
    CHECK(run.LastEvent("failure").at("class") == "bad_spec");
  }
}

}  // namespace sweep
