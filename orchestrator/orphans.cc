#include "orchestrator/orphans.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "core/failure.h"

namespace sweep {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);

struct Process {
  pid_t pid = 0;
  pid_t group = 0;
  std::string command_line;
  std::string mark;  // RunMark, or empty
};

// Empty for one that has ended meanwhile or belongs to another user.
std::string ReadProc(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string MarkIn(const std::string& environment) {
  const std::string name = std::string(kRunVariable) + "=";
  std::istringstream variables(environment);
  for (std::string variable; std::getline(variables, variable, '\0');) {
    if (variable.starts_with(name)) return variable;
  }
  return "";
}

// False for one that has ended and is only waited for by its parent.
bool ReadProcess(const std::filesystem::path& folder, Process& process) {
  const std::string stat = ReadProc(folder / "stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return false;
  char state = 'X';
  pid_t parent = 0;
  if (!(std::istringstream(stat.substr(name_end + 1)) >> state >> parent >> process.group))
    return false;
  if (state == 'Z' || state == 'X') return false;
  process.command_line = ReadProc(folder / "cmdline");
  process.mark = MarkIn(ReadProc(folder / "environ"));
  return true;
}

// All but this one.
std::vector<Process> AllProcesses() {
  std::vector<Process> processes;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", absent)) {
    const std::string name = entry.path().filename();
    Process process;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), process.pid);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
    if (process.pid == ::getpid()) continue;
    if (ReadProcess(entry.path(), process)) processes.push_back(std::move(process));
  }
  return processes;
}

// The group is known once by a member of it, and stays known: its number is used by nobody else
// while it has members.
std::set<pid_t> ProcessesOf(const OrphanedRun& run,
                            const std::vector<Process>& processes,
                            bool& group_is_ours) {
  const std::string mark = RunMark(run.directory);
  const auto group = static_cast<pid_t>(run.pid);
  std::set<pid_t> found;
  std::set<pid_t> members;
  for (const Process& process : processes) {
    const bool is_member = group > 0 && process.group == group;
    const bool is_marked = process.mark == mark;
    if (is_marked) found.insert(process.pid);
    if (is_member) members.insert(process.pid);
    const bool names_run = process.command_line.find(run.run_id) != std::string::npos;
    group_is_ours = group_is_ours || (is_member && (is_marked || names_run));
  }
  if (members.empty()) group_is_ours = false;
  if (group_is_ours) found.merge(members);
  return found;
}

[[noreturn]] void ThrowTheyStay(const Orphans& orphans) {
  const auto& [run_id, pids] = *orphans.found().begin();
  throw Failure(FailureCode::kStoreHeld,
                fmt::format("run {} is still at work on this machine and cannot be ended: stop "
                            "process {}, then give the same command again",
                            run_id,
                            fmt::join(pids, ", ")));
}

}  // namespace

std::string RunMark(const std::filesystem::path& run_directory) {
  std::error_code trouble;
  std::filesystem::path path = std::filesystem::weakly_canonical(run_directory, trouble);
  if (trouble) path = std::filesystem::absolute(run_directory);
  return fmt::format("{}={}", kRunVariable, path.string());
}

Orphans::Orphans(std::vector<OrphanedRun> runs) : runs_(std::move(runs)) {
  for (const OrphanedRun& run : runs_) group_is_ours_[run.run_id] = run.is_our_child;
  Look();
}

void Orphans::Look() {
  const std::vector<Process> processes = AllProcesses();
  found_.clear();
  for (const OrphanedRun& run : runs_) {
    auto found = ProcessesOf(run, processes, group_is_ours_[run.run_id]);
    if (!found.empty()) found_[run.run_id] = std::move(found);
  }
}

void Orphans::SignalOnce(int signal) {
  for (const auto& [run, pids] : found_) {
    for (const pid_t pid : pids) {
      if (heard_.emplace(signal, pid).second) ::kill(pid, signal);
    }
  }
}

void Orphans::GroupsHaveHeard(int signal) {
  for (const OrphanedRun& run : runs_) {
    const auto found = found_.find(run.run_id);
    if (found == found_.end()) continue;
    for (const pid_t pid : found->second) {
      if (::getpgid(pid) == run.pid) heard_.emplace(signal, pid);
    }
  }
}

void EndOrphans(const std::vector<OrphanedRun>& runs,
                std::chrono::seconds patience,
                std::vector<std::string>& notes) {
  if (runs.empty()) return;
  using Clock = std::chrono::steady_clock;
  Orphans orphans(runs);
  for (const auto& [run_id, pids] : orphans.found())
    notes.push_back(
        fmt::format("run {}: waiting for process {} of an earlier sweep to save and stop",
                    run_id,
                    fmt::join(pids, ", ")));
  const auto begin = Clock::now();
  while (!orphans.none()) {
    const bool in_time = Clock::now() - begin < patience;
    if (Clock::now() - begin > 2 * patience) ThrowTheyStay(orphans);
    orphans.SignalOnce(in_time ? SIGTERM : SIGKILL);
    std::this_thread::sleep_for(kLook);
    orphans.Look();
  }
}

}  // namespace sweep
