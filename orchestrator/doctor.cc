#include "orchestrator/doctor.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <iomanip>
#include <sstream>

#include "core/failure.h"
#include "core/files.h"
#include "db/lease.h"
#include "db/snapshot.h"
#include "db/store.h"
#include "orchestrator/data_files.h"
#include "orchestrator/local_gpus.h"
#include "orchestrator/progress.h"
#include "orchestrator/scheduler.h"
#include "orchestrator/subprocess.h"
#include "orchestrator/sweep_file/catalog.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;
using Level = Diagnosis::Level;

constexpr auto kPatience = std::chrono::seconds(10);
constexpr double kLittleSpace = 5e9;       // bytes: some checkpoints of a large model
constexpr double kTolerableClockSkew = 5;  // seconds

std::string FirstLine(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

Diagnosis CheckTrainer() {
  const char* advice =
      "build it with LibTorch (scripts/setup installs it), or name another program as "
      "trainer.command in the sweep file";
  try {
    const std::vector<std::string> command = TrainerCommand({});
    const CommandResult result = RunCommand({command.front(), "--version"}, kPatience);
    if (result.ok()) return {"trainer", Level::kOk, FirstLine(result.out), ""};
    return {"trainer",
            Level::kFail,
            fmt::format("{} does not run: {}", command.front(), FirstLine(result.error)),
            advice};
  } catch (const Failure&) {
    return {"trainer", Level::kFail, "clip_train is neither beside sweep nor on PATH", advice};
  }
}

Diagnosis CheckGpu() {
  std::vector<std::string> gpus;
  for (const LocalGpu& gpu : LocalGpus())
    gpus.push_back(fmt::format("{} ({})", gpu.name, HumanBytes(gpu.memory_bytes)));
  if (gpus.empty())
    return {"gpu", Level::kWarn, "nvidia-smi lists none: runs on this machine use the CPU", ""};
  return {"gpu", Level::kOk, fmt::format("{}", fmt::join(gpus, ", ")), ""};
}

// Slurm's word for its present time, in its configuration's first line.
std::optional<double> SecondsBehindSlurm(const std::string& config) {
  std::tm time{};
  const size_t at = config.find("as of ");
  if (at == std::string::npos) return std::nullopt;
  std::istringstream in(config.substr(at + 6, 19));
  in >> std::get_time(&time, "%Y-%m-%dT%H:%M:%S");
  time.tm_isdst = -1;
  if (in.fail()) return std::nullopt;
  return static_cast<double>(std::mktime(&time)) - UnixTime();
}

std::vector<Diagnosis> CheckSlurm() {
  const CommandResult version = RunCommand({"sinfo", "--version"}, kPatience);
  constexpr int kNotFound = 127;
  if (version.exit_code == kNotFound)
    return {{"slurm", Level::kOk, "not installed; `--executor slurm` alone needs it", ""}};
  if (!version.ok()) {
    return {{"slurm",
             Level::kWarn,
             "installed, but knows no cluster: " + FirstLine(version.error),
             "set SLURM_CONF or slurm.conf, if `--executor slurm` is wanted here"}};
  }
  const CommandResult config = RunCommand({"scontrol", "show", "config"}, kPatience);
  if (!config.ok()) {
    return {{"slurm",
             Level::kWarn,
             fmt::format("{}, but its controller does not answer: {}",
                         FirstLine(version.out),
                         FirstLine(config.error)),
             "`scontrol ping` says which; without it `--executor slurm` ends with exit code 8"}};
  }
  std::vector<Diagnosis> found = {{"slurm", Level::kOk, FirstLine(version.out) + " answers", ""}};
  if (const auto skew = SecondsBehindSlurm(config.out)) {
    const bool tolerable = std::abs(*skew) <= kTolerableClockSkew;
    found.push_back({"clock",
                     tolerable ? Level::kOk : Level::kWarn,
                     fmt::format("{:.0f}s from the scheduler's", std::abs(*skew)),
                     tolerable ? "" : "synchronise the clocks (NTP): recorded times disagree"});
  }
  return found;
}

std::vector<Diagnosis> CheckData() {
  std::vector<Diagnosis> found;
  std::set<std::string> seen;
  for (const auto& [name, dataset] : LoadCatalog(DataPath("")).datasets) {
    if (dataset.location.empty() || !seen.insert(dataset.location).second) continue;
    const bool there = fs::exists(dataset.location);
    found.push_back({"data",
                     there ? Level::kOk : Level::kWarn,
                     fmt::format("{}{} ({})", dataset.location, there ? "" : " is not there", name),
                     there ? "" : dataset.install_hint});
  }
  return found;
}

// The nearest folder above that exists: where a store would be made.
fs::path ExistingPart(const fs::path& store) {
  fs::path folder = fs::absolute(store);
  while (!fs::exists(folder) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

// Seconds that the file system's clock is ahead of ours, from a file written there now; nullopt
// where nothing can be written.
std::optional<double> FileClockSkew(const fs::path& folder) {
  const fs::path file = folder / fmt::format(".sweep-doctor.{}", ::getpid());
  try {
    WriteFileAtomic(file, "");
  } catch (const Failure&) {
    return std::nullopt;
  }
  struct stat info {};
  const bool known = ::stat(file.c_str(), &info) == 0;
  const double written =
      static_cast<double>(info.st_mtim.tv_sec) + 1e-9 * static_cast<double>(info.st_mtim.tv_nsec);
  std::error_code gone;
  fs::remove(file, gone);
  return known ? std::optional(written - UnixTime()) : std::nullopt;
}

std::vector<Diagnosis> CheckStore(const fs::path& store) {
  const fs::path folder = ExistingPart(store);
  const std::optional<double> skew = FileClockSkew(folder);
  std::vector<Diagnosis> found;
  if (!skew) {
    found.push_back({"store",
                     Level::kFail,
                     fmt::format("{} cannot be written", folder.string()),
                     "name a folder of yours with --store"});
  } else {
    const bool network = IsNetworkFileSystem(folder);
    const auto holder = LeaseHolder(store);
    found.push_back({"store",
                     Level::kOk,
                     fmt::format("{}{}, on a {} file system{}",
                                 store.string(),
                                 Store::Exists(store) ? "" : " (not made yet)",
                                 network ? "network" : "local",
                                 holder ? ", held by " + *holder : ""),
                     network ? "readers see a snapshot of some seconds ago (docs/design.md)" : ""});
    const bool tolerable = std::abs(*skew) <= kTolerableClockSkew;
    found.push_back({"clock",
                     tolerable ? Level::kOk : Level::kWarn,
                     fmt::format("{:.1f}s from the file system's", std::abs(*skew)),
                     tolerable ? "" : "synchronise the clocks (NTP): file times disagree"});
  }
  std::error_code unknown;
  const fs::space_info space = fs::space(folder, unknown);
  if (unknown) return found;
  const auto free = static_cast<double>(space.available);
  const bool enough = free >= kLittleSpace;
  found.push_back({"space",
                   enough ? Level::kOk : Level::kWarn,
                   HumanBytes(free) + " free",
                   enough ? "" : "`sweep gc` lists what can go"});
  return found;
}

void Append(std::vector<Diagnosis>& all, const std::vector<Diagnosis>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

const char* ToString(Diagnosis::Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarn:
      return "warn";
    case Level::kFail:
      return "fail";
  }
  return "";
}

std::vector<Diagnosis> Diagnose(const fs::path& store) {
  std::vector<Diagnosis> all = {CheckTrainer(), CheckGpu()};
  Append(all, CheckSlurm());
  Append(all, CheckData());
  Append(all, CheckStore(store));
  return all;
}

}  // namespace sweep
