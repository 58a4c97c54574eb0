#include "orchestrator/probe.h"

#include <algorithm>

#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"
#include "db/lease.h"
#include "db/store.h"
#include "db/store_layout.h"
#include "orchestrator/scheduler.h"
#include "orchestrator/subprocess.h"

namespace sweep {
namespace {

constexpr const char* kProbeFile = "probe.json";
constexpr int64_t kMostPairs = 256;  // a step of more takes minutes on a CPU and is no faster
constexpr const char* kSeconds = "3";
constexpr auto kPatience = std::chrono::minutes(10);

std::string LastLine(const std::string& text) {
  const size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const size_t before = text.rfind('\n', end);
  return text.substr(before + 1, end - before);
}

bool IsRate(double samples_per_second) {
  constexpr double kMostSamplesPerSecond = 1e12;
  return samples_per_second > 0 && samples_per_second <= kMostSamplesPerSecond;
}

// What a trainer's bench printed last; null where that is no JSON.
Json ReportIn(const std::string& output) {
  try {
    return ParseJson(LastLine(output), "bench");
  } catch (const Malformed&) {
    return nullptr;
  }
}

}  // namespace

ProbeRequest ProbeRequestFor(const RunSpec& spec, int64_t threads, const std::string& device) {
  return {
      spec.model, spec.precision, std::min(spec.global_batch_size, kMostPairs), threads, device};
}

std::vector<Probe> LoadProbes(const std::filesystem::path& store) {
  std::vector<Probe> probes;
  std::error_code absent;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(store / "probes", absent)) {
    if (entry.path().filename() != kProbeFile) continue;
    try {
      const std::string path = entry.path().string();
      const auto probe = FieldsFromJson<Probe>(ReadJsonFile(path), path);
      if (IsRate(probe.samples_per_second)) probes.push_back(probe);
    } catch (const Failure&) {
      // A cache: what cannot be read is measured again.
    }
  }
  return probes;
}

Probe RunProbe(const std::filesystem::path& store,
               const TrainerSettings& trainer,
               const ProbeRequest& request) {
  const auto folder = store / "probes" / HostName() / ContentId(FieldsToJson(request));
  RequireOwnLayout(store);
  RequireNoLinkBetween(store, folder / kProbeFile);
  MakeDirectories(folder);
  const auto model = folder / "model.json";
  WriteFileAtomic(model, FieldsToJson(request.model).dump(1) + "\n");
  std::vector<std::string> words = TrainerCommand(trainer);
  for (const std::string& word : {std::string("bench"),
                                  std::string("--model"),
                                  model.string(),
                                  std::string("--precision"),
                                  request.precision,
                                  std::string("--batch"),
                                  std::to_string(request.batch_size),
                                  std::string("--threads"),
                                  std::to_string(request.threads),
                                  std::string("--device"),
                                  request.device,
                                  std::string("--seconds"),
                                  std::string(kSeconds)})
    words.push_back(word);
  const CommandResult result = RunCommand(words, kPatience);
  const Json report = ReportIn(result.out);
  const std::optional<double> rate = FindNumber(report, "images_per_second");
  if (!result.ok() || !rate || !IsRate(*rate)) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("no probe: `{} bench` {}: {}",
                              words.front(),
                              result.timed_out ? "took too long" : "gave no measurement",
                              result.error.empty() ? LastLine(result.out) : result.error));
  }
  Probe probe;
  probe.host = HostName();
  probe.at = UnixTime();
  probe.request = request;
  probe.device = FindText(report, "device").value_or("");
  probe.samples_per_second = *rate;
  probe.report = report;
  WriteFileAtomic(folder / kProbeFile, FieldsToJson(probe).dump(1) + "\n");
  return probe;
}

}  // namespace sweep
