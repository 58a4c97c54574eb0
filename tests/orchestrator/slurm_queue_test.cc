#include "orchestrator/slurm_queue.h"

#include <catch2/catch.hpp>
#include <map>
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
      "sweep-0a1b2c3d4e5f|4711_0.batch|COMPLETED\n"
      "wrap|4712|COMPLETED\n"
      "wrap|4713_[0-9]|COMPLETED\n"
      "sacct: error: slurmdbd is away",
      {"sweep-0a1b2c3d4e5f_0", "sweep-0a1b2c3d4e5f_1", "sweep-0a1b2c3d4e5f_2"});
  REQUIRE(tasks.size() == 2);
  CHECK(tasks.at("sweep-0a1b2c3d4e5f_0").job == "4711_0");
  CHECK(CauseOf(tasks.at("sweep-0a1b2c3d4e5f_0")) == "out_of_memory");
  CHECK(CauseOf(tasks.at("sweep-0a1b2c3d4e5f_1")) == "cancelled");
}

TEST_CASE("ParseSacct finds those of our tasks that share a line because they never started") {
  using States = std::map<std::string, std::string>;
  const auto states = [](const std::string& text) {
    States found;
    const auto tasks = ParseSacct(text, {"sweep-a_0", "sweep-a_9", "sweep-a_20", "sweep-b_0"});
    for (const auto& [name, task] : tasks) found[task.job] = task.state;
    return found;
  };
  // As Slurm 22.05 prints them.
  CHECK(states("sweep-a|1_[9-19,21-49]|CANCELLED by 0") == States{{"1_9", "CANCELLED"}});
  CHECK(states("sweep-a|24_[1-2,4,9,20%3]|CANCELLED by 0") ==
        States{{"24_9", "CANCELLED"}, {"24_20", "CANCELLED"}});
  CHECK(states("sweep-a|40_[0-5]|DEADLINE") == States{{"40_0", "DEADLINE"}});
  CHECK(states("sweep-a|1_[7-65:2]|CANCELLED by 0") == States{{"1_9", "CANCELLED"}});
  // Cancelled one by one, till none was left.
  CHECK(states("sweep-b|2|CANCELLED by 0") == States{{"2_0", "CANCELLED"}});
  // The default cut after 64 characters, and what cannot be read at all.
  CHECK(states("sweep-a|24_[1-2,9,2...%3]|CANCELLED by 0") == States{{"24_9", "CANCELLED"}});
  CHECK(states("sweep-a|1_[0-99999999999999999999]|CANCELLED by 0").empty());
  CHECK(states("sweep-a|1_[0-9:0,-20,20-,]|CANCELLED by 0").empty());
  CHECK(states("sweep-a|1_[|CANCELLED by 0").empty());
}

TEST_CASE("What sacct says of a task alone goes before what it says of the rest of its array") {
  // Of Slurm 22.05: the tasks of a node that died, one that was requeued and then cancelled, and
  // two that were cancelled one by one before they started.
  const auto tasks = ParseSacct(
      "sweep-vqczbjuh8|1_0|COMPLETED\n"
      "sweep-vqczbjuh8|1_1|CANCELLED by 0\n"
      "sweep-vqczbjuh8|1_2|TIMEOUT\n"
      "sweep-vqczbjuh8|1_4|NODE_FAIL\n"
      "sweep-vqczbjuh8|1_5|NODE_FAIL\n"
      "sweep-vqczbjuh8|1|CANCELLED by 0\n"
      "sweep-vqczbjuh8|1_3|CANCELLED by 0\n",
      {"sweep-vqczbjuh8_0", "sweep-vqczbjuh8_4", "sweep-vqczbjuh8_6", "sweep-vqczbjuh8_7"});
  CHECK(tasks.size() == 8);
  CHECK(tasks.at("sweep-vqczbjuh8_0").state == "COMPLETED");
  CHECK(tasks.at("sweep-vqczbjuh8_4").state == "NODE_FAIL");
  CHECK(tasks.at("sweep-vqczbjuh8_7").state == "CANCELLED");
  CHECK(tasks.at("sweep-vqczbjuh8_7").job == "1_7");
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
    for (const auto& [name, task] : ParseSacct("sweep-1|1_" + text, {"sweep-1_7"}))
      CHECK(name.starts_with("sweep-"));
    (void)SlurmConfigValue(text, "MaxArraySize");
    (void)ReadSbatchAnswer(static_cast<int>(random() % 2), text, text);
  }
}

}  // namespace sweep
