#include "orchestrator/slurm_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <vector>

namespace sweep {
namespace {

constexpr std::string_view kTokenPrefix = "sweep-";

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::string_view NextLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::vector<std::string_view> Split(std::string_view line, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = line.find(separator);
    parts.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return parts;
    line.remove_prefix(end + 1);
  }
}

template <size_t N>
bool IsOneOf(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

template <size_t N>
bool HasOneOf(std::string_view text, const std::array<std::string_view, N>& parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return text.find(part) != std::string_view::npos;
  });
}

// Job state codes of squeue(1).
constexpr std::array<std::string_view, 6> kQueuedStates = {
    "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"};
constexpr std::array<std::string_view, 7> kRunningStates = {
    "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"};
constexpr std::array<std::string_view, 10> kEndedStates = {"COMPLETED",
                                                           "FAILED",
                                                           "TIMEOUT",
                                                           "CANCELLED",
                                                           "PREEMPTED",
                                                           "NODE_FAIL",
                                                           "BOOT_FAIL",
                                                           "OUT_OF_MEMORY",
                                                           "DEADLINE",
                                                           "REVOKED"};

// sbatch says these when nothing was queued and trying later may help.
constexpr std::array<std::string_view, 6> kBusyMessages = {"Unable to contact slurm controller",
                                                           "Connection refused",
                                                           "Slurm temporarily unable",
                                                           "maximum number of jobs",
                                                           "Resource temporarily unavailable",
                                                           "in standby mode"};
// And these when it is more than the site takes at once: MaxSubmitJobs, GrpSubmitJobs and their
// like.
constexpr std::array<std::string_view, 2> kCountLimitMessages = {"SubmitJob", "MaxSubmit"};
// Of any limit of the site; which one, Slurm says only if it is told to.
constexpr std::string_view kAnyLimitMessage = "job submit limit";
// Limits of one job, not of their number.
constexpr std::array<std::string_view, 4> kJobLimitMessages = {
    "QOSMax", "AssocMax", "QOSGrp", "AssocGrp"};
// Reasons of squeue(1) of a job that waits for its turn.
constexpr std::array<std::string_view, 8> kOrdinaryReasons = {
    "None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime", "Cleaning", "Prolog", ""};
// And these when the answer was lost on the way.
constexpr std::array<std::string_view, 4> kUncertainMessages = {
    "Socket timed out", "Zero Bytes were transmitted", "Transport endpoint", "Protocol"};

using SlurmTasks = std::map<std::string, SlurmTask>;

// One of ours, by our name; others, and lines that are not as expected, are left out.
void AddTask(SlurmTasks& tasks,
             std::string_view token,
             std::string_view array_text,
             std::string_view index_text,
             std::string_view state,
             std::string_view reason) {
  const auto array = ParseNumber(array_text);
  const auto index = ParseNumber(index_text);
  if (!token.starts_with(kTokenPrefix) || !array || !index || *array <= 0 || *index < 0) return;
  tasks[BatchTaskName(std::string(token), *index)] = {
      fmt::format("{}_{}", *array, *index), std::string(state), std::string(reason)};
}

struct IndexRange {
  int64_t first = 0;
  int64_t last = std::numeric_limits<int64_t>::max();
  int64_t step = 1;

  [[nodiscard]] bool Has(int64_t index) const {
    return first <= index && index <= last && (index - first) % step == 0;
  }
};

// "21", "9-19" or "9-19:2".
std::optional<IndexRange> ParseIndexRange(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text, ':');
  const std::vector<std::string_view> ends = Split(parts.front(), '-');
  const auto first = ParseNumber(ends.front());
  const auto last = ParseNumber(ends.back());
  const auto step = parts.size() == 1 ? 1 : ParseNumber(parts.back());
  if (!first || !last || !step || *first < 0 || *step < 1) return std::nullopt;
  return IndexRange{*first, *last, *step};
}

// A line of tasks that never started names them, as "4711_[9-19,21%4]" of which four may run at
// once. When they were cancelled one by one nothing is left of that list, and the line of the bare
// "4711" is about all tasks that have none of their own.
std::vector<IndexRange> ParseNeverStarted(const std::vector<std::string_view>& job) {
  if (job.size() == 1) return {IndexRange{}};
  std::vector<IndexRange> ranges;
  if (job.size() != 2 || !job[1].starts_with('[')) return ranges;
  const std::string_view list = job[1].substr(1, job[1].find_first_of("%]") - 1);
  for (const std::string_view part : Split(list, ',')) {
    if (const auto range = ParseIndexRange(part)) ranges.push_back(*range);
  }
  return ranges;
}

void AddNeverStarted(SlurmTasks& tasks,
                     const std::vector<std::string>& names,
                     std::string_view token,
                     const std::vector<std::string_view>& job,
                     std::string_view state) {
  const std::vector<IndexRange> ranges = ParseNeverStarted(job);
  if (ranges.empty()) return;
  for (const std::string& name : names) {
    if (TokenOf(name) != token || name == token) continue;
    const std::string_view index_text = std::string_view(name).substr(token.size() + 1);
    const int64_t index = ParseNumber(index_text).value_or(-1);
    const bool is_there = std::any_of(
        ranges.begin(), ranges.end(), [&](const IndexRange& range) { return range.Has(index); });
    if (is_there) AddTask(tasks, token, job[0], index_text, state, "");
  }
}

}  // namespace

std::map<std::string, SlurmTask> ParseSqueue(std::string_view text) {
  SlurmTasks tasks;
  while (!text.empty()) {
    const std::vector<std::string_view> parts = Split(NextLine(text), '|');
    if (parts.size() >= 5) AddTask(tasks, parts[0], parts[1], parts[2], parts[3], parts[4]);
  }
  return tasks;
}

std::map<std::string, SlurmTask> ParseSacct(std::string_view text,
                                            const std::vector<std::string>& names) {
  SlurmTasks tasks;
  SlurmTasks never_started;
  while (!text.empty()) {
    const std::vector<std::string_view> parts = Split(NextLine(text), '|');
    if (parts.size() < 3) continue;
    const std::vector<std::string_view> job = Split(parts[1], '_');
    const std::string_view state = Split(parts[2], ' ').front();  // of "CANCELLED by 1000"
    if (job.size() == 2) AddTask(tasks, parts[0], job[0], job[1], state, "");
    AddNeverStarted(never_started, names, parts[0], job, state);
  }
  tasks.merge(never_started);  // where there is no line of a task's own
  return tasks;
}

ListedTask::Phase PhaseOf(const SlurmTask& task) {
  if (IsOneOf(task.state, kQueuedStates)) return ListedTask::Phase::kQueued;
  if (IsOneOf(task.state, kRunningStates)) return ListedTask::Phase::kRunning;
  if (IsOneOf(task.state, kEndedStates)) return ListedTask::Phase::kEnded;
  return ListedTask::Phase::kUnknown;
}

std::string CauseOf(const SlurmTask& task) {
  if (task.state == "PREEMPTED") return "preempted";
  if (task.state == "NODE_FAIL" || task.state == "BOOT_FAIL" || task.state == "REVOKED")
    return "node_failure";
  if (task.state == "TIMEOUT" || task.state == "DEADLINE") return "time_limit";
  if (task.state == "OUT_OF_MEMORY") return "out_of_memory";
  if (task.state == "CANCELLED") return "cancelled";
  return "";
}

std::string WaitsFor(const SlurmTask& task) {
  const bool ordinary = PhaseOf(task) != ListedTask::Phase::kQueued ||
                        IsOneOf(std::string_view(task.reason), kOrdinaryReasons);
  return ordinary ? "" : task.reason;
}

std::optional<std::string> SlurmConfigWord(std::string_view config, std::string_view name) {
  while (!config.empty()) {
    const std::string_view line = NextLine(config);
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || Trimmed(line.substr(0, equals)) != name) continue;
    return std::string(Trimmed(line.substr(equals + 1)));
  }
  return std::nullopt;
}

std::optional<int64_t> SlurmConfigValue(std::string_view config, std::string_view name) {
  const std::optional<std::string> word = SlurmConfigWord(config, name);
  return word ? ParseNumber(*word) : std::nullopt;
}

SubmitAnswer ReadSbatchAnswer(std::optional<int> exit_code,
                              std::string_view out,
                              std::string_view error) {
  if (exit_code == 0) {
    // --parsable: "1234" or "1234;cluster", after whatever a site's wrapper prints.
    std::optional<int64_t> job;
    while (!out.empty()) {
      const auto number = ParseNumber(Split(Trimmed(NextLine(out)), ';').front());
      if (number && *number > 0) job = number;
    }
    if (job) return {SubmitAnswer::Kind::kAccepted, std::to_string(*job), ""};
    return {SubmitAnswer::Kind::kUncertain, "", "sbatch succeeded but named no job"};
  }
  const std::string message(Trimmed(error));
  if (!exit_code) return {SubmitAnswer::Kind::kUncertain, "", "sbatch did not answer in time"};
  if (HasOneOf(message, kUncertainMessages)) return {SubmitAnswer::Kind::kUncertain, "", message};
  if (HasOneOf(message, kCountLimitMessages)) return {SubmitAnswer::Kind::kTooMany, "", message};
  const bool any_limit = message.find(kAnyLimitMessage) != std::string::npos;
  if (any_limit && !HasOneOf(message, kJobLimitMessages))
    return {SubmitAnswer::Kind::kTooMany, "", message};
  if (HasOneOf(message, kBusyMessages)) return {SubmitAnswer::Kind::kBusy, "", message};
  return {SubmitAnswer::Kind::kRefused,
          "",
          message.empty() ? fmt::format("sbatch ended with exit code {}", *exit_code) : message};
}

}  // namespace sweep
