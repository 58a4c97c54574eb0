#include "orchestrator/slurm_queue.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

namespace sweep {

TEST_CASE("ParseSqueue finds our tasks by their own names among others") {
  const auto tasks = ParseSqueue(
      "sweep-0a1b2c3d4e5f|4711|0|RUNNING|None\n"
      "sweep-0a1b2c3d4e5f|4711|12|PENDING|Resources\n"
      "wrap|4712|N/A|RUNNING|None\n"
      "sweep-0a1b2c3d4e5f|4711|[13-20%4]|PENDING|JobArrayTaskLimit\n"  // not expanded: says nothing
      "sweep-0a1b2c3d4e5f|4711\n"
      "slurm_load_jobs error: Unable to contact slurm controller\n"
      "sweep-ffff|99999999999999999999|1|RUNNING|None");
  REQUIRE(tasks.size() == 2);
  CHECK(tasks.at("sweep-0a1b2c3d4e5f_0").job == "4711_0");
  CHECK(PhaseOf(tasks.at("sweep-0a1b2c3d4e5f_0")) == ListedTask::Phase::kRunning);
  CHECK(tasks.at("sweep-0a1b2c3d4e5f_12").reason == "Resources");
  CHECK(PhaseOf(tasks.at("sweep-0a1b2c3d4e5f_12")) == ListedTask::Phase::kQueued);
}

TEST_CASE("Only states that end a job end an attempt, each with its cause") {
  const auto cause = [](const char* state) {
    const SlurmTask task{"1_0", state, ""};
    CHECK(PhaseOf(task) == ListedTask::Phase::kEnded);
    return CauseOf(task);
  };
  CHECK(cause("PREEMPTED") == "preempted");
  CHECK(cause("NODE_FAIL") == "node_failure");
  CHECK(cause("TIMEOUT") == "time_limit");
  CHECK(cause("OUT_OF_MEMORY") == "out_of_memory");
  CHECK(cause("CANCELLED") == "cancelled");
  CHECK(cause("COMPLETED").empty());
  CHECK(cause("FAILED").empty());
  CHECK(PhaseOf({"1_0", "SOMETHING_NEW", ""}) == ListedTask::Phase::kUnknown);
  CHECK(PhaseOf({"1_0", "", ""}) == ListedTask::Phase::kUnknown);
}

TEST_CASE("ParseSacct finds our tasks by their own names among others") {
  const auto tasks = ParseSacct(
      "sweep-0a1b2c3d4e5f|4711_0|OUT_OF_MEMORY\n"
      "sweep-0a1b2c3d4e5f|4711_1|CANCELLED by 1000\n"
      "sweep-0a1b2c3d4e5f|4711_[2-9%4]|PENDING\n"
      "sweep-0a1b2c3d4e5f|4711_0.batch|COMPLETED\n"
      "wrap|4712|COMPLETED\n"
      "sacct: error: slurmdbd is away");
  REQUIRE(tasks.size() == 2);
  CHECK(tasks.at("sweep-0a1b2c3d4e5f_0").job == "4711_0");
  CHECK(CauseOf(tasks.at("sweep-0a1b2c3d4e5f_0")) == "out_of_memory");
  CHECK(CauseOf(tasks.at("sweep-0a1b2c3d4e5f_1")) == "cancelled");
}

TEST_CASE("SlurmConfigValue reads scontrol's table") {
  const char* config =
      "Configuration data as of 2026-11-22T14:00:00\n"
      "MaxArraySize            = 1001\n"
      "MaxJobCount             = 10000 \n"
      "MaxStepCount            = many\n"
      "AccountingStorageType   = accounting_storage/slurmdbd\n";
  CHECK(SlurmConfigWord(config, "AccountingStorageType") == "accounting_storage/slurmdbd");
  CHECK(SlurmConfigValue(config, "MaxArraySize") == 1001);
  CHECK(SlurmConfigValue(config, "MaxJobCount") == 10000);
  CHECK(SlurmConfigValue(config, "MaxStepCount") == std::nullopt);
  CHECK(SlurmConfigValue(config, "Max") == std::nullopt);
}

TEST_CASE("An answer of sbatch is accepted, refused, busy or uncertain") {
  using Kind = SubmitAnswer::Kind;
  const auto kind = [](std::optional<int> code, const char* out, const char* error) {
    return ReadSbatchAnswer(code, out, error).kind;
  };
  CHECK(ReadSbatchAnswer(0, "Welcome to the cluster\n4711;main\n", "").job == "4711");
  CHECK(kind(0, "4711\n", "") == Kind::kAccepted);
  CHECK(kind(0, "welcome\n", "") == Kind::kUncertain);
  CHECK(kind(std::nullopt, "", "") == Kind::kUncertain);
  CHECK(kind(1, "", "sbatch: error: Batch job submission failed: Socket timed out on send/recv") ==
        Kind::kUncertain);
  CHECK(kind(1, "", "sbatch: error: Unable to contact slurm controller (connect failure)") ==
        Kind::kBusy);
  const std::string policy =
      "\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit "
      "limit, user's size and/or time limits)";
  const auto by_policy = [&](const std::string& which) {
    return kind(1, "", ("sbatch: error: " + which + policy).c_str());
  };
  CHECK(by_policy("QOSMaxSubmitJobPerUserLimit") == Kind::kTooMany);
  CHECK(by_policy("AssocGrpSubmitJobsLimit") == Kind::kTooMany);
  CHECK(by_policy("") == Kind::kTooMany);  // which limit, it does not say
  CHECK(by_policy("QOSMaxWallDurationPerJobLimit") == Kind::kRefused);
  CHECK(by_policy("AssocMaxNodePerJobLimit") == Kind::kRefused);
  const SubmitAnswer refused =
      ReadSbatchAnswer(1, "", "sbatch: error: invalid partition specified: nowhere\n");
  CHECK(refused.kind == Kind::kRefused);
  CHECK(refused.message == "sbatch: error: invalid partition specified: nowhere");
}

TEST_CASE("A queued job's reason is told where it is more than its turn") {
  CHECK(WaitsFor({"1_0", "PENDING", "Priority"}).empty());
  CHECK(WaitsFor({"1_0", "RUNNING", "None"}).empty());
  CHECK(WaitsFor({"1_0", "PENDING", "BadConstraints"}) == "BadConstraints");
  CHECK(WaitsFor({"1_0", "REQUEUE_HOLD", "JobHeldUser"}) == "JobHeldUser");
}

TEST_CASE("Whatever a scheduler prints, it is read or left out") {
  std::mt19937 random(1);  // NOLINT: the same bytes every time
  const std::string alphabet = "sweep-0123456789|_[]%=;\n RUNIGx\xff";
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 80, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    for (const auto& [name, task] : ParseSqueue("sweep-1|1|" + text))
      CHECK(name.starts_with("sweep-"));
    for (const auto& [name, task] : ParseSacct("sweep-1|1_" + text))
      CHECK(name.starts_with("sweep-"));
    (void)SlurmConfigValue(text, "MaxArraySize");
    (void)ReadSbatchAnswer(static_cast<int>(random() % 2), text, text);
  }
}

}  // namespace sweep
