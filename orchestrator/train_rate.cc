#include "orchestrator/train_rate.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/canonical_fields.h"
#include "core/compute.h"
#include "core/failure.h"
#include "db/lease.h"
#include "fit/statistics.h"
#include "orchestrator/local_gpus.h"

namespace sweep {
namespace {

// How far single rates of a model were from each other, and runs from probes, on a quiet and on an
// overloaded machine: docs/cluster.md has the measurements.
constexpr double kSingleSpread = 1.5;
constexpr size_t kEnoughToSpread = 3;  // measured rates that span their range themselves
constexpr double kSlowerThanProbe = 4;
constexpr double kFasterThanProbe = 1.5;

bool IsGpu(const std::string& device) {
  return device.starts_with("cuda");
}

// The accelerator whose id stands in the driver's name of the GPU.
std::string IdOfGpu(const std::map<std::string, Accelerator>& known) {
  for (const LocalGpu& gpu : LocalGpus()) {
    for (const auto& [id, accelerator] : known) {
      if (gpu.name.starts_with(accelerator.name)) return id;
    }
  }
  return "a100";
}

// Of this machine's GPUs where it is they that runs work on.
double GpuBytesOf(const Workplace& place) {
  if (!place.gpu) return 0;
  double least = place.accelerator.memory_bytes;
  if (place.imagined || place.host.empty() || LocalGpus().empty()) return least;
  least = LocalGpus().front().memory_bytes;
  for (const LocalGpu& gpu : LocalGpus()) least = std::min(least, gpu.memory_bytes);
  return least;
}

TrainRate RateOf(std::vector<double> measured, std::string from) {
  std::sort(measured.begin(), measured.end());
  const double middle = SampleQuantile(measured, 0.5);
  const bool spread = measured.size() >= kEnoughToSpread;
  TrainRate rate;
  rate.samples_per_second = {spread ? measured.front() : measured.front() / kSingleSpread,
                             middle,
                             spread ? measured.back() : measured.back() * kSingleSpread};
  rate.source = RateSource::kMeasured;
  rate.from = std::move(from);
  return rate;
}

}  // namespace

const char* ToString(RateSource source) {
  switch (source) {
    case RateSource::kMeasured:
      return "measured";
    case RateSource::kProbed:
      return "probed";
    case RateSource::kAssumed:
      return "assumed";
  }
  return "";
}

Workplace WorkplaceOf(const ExecutorSettings& executor,
                      const TrainerSettings& trainer,
                      const std::string& accelerator) {
  const std::map<std::string, Accelerator> known = LoadAccelerators();
  Workplace place;
  place.executor = executor.kind;
  if (executor.kind == "local") place.host = HostName();
  place.threads = executor.threads_per_run;
  place.processes = executor.processes();
  place.imagined = !accelerator.empty();
  std::string id = accelerator;
  if (!place.imagined) id = WorksOnGpus(executor, trainer) ? IdOfGpu(known) : "core";
  const auto found = known.find(id);
  if (found == known.end()) {
    std::vector<std::string> ids;
    for (const auto& [name, description] : known) ids.push_back(name);
    throw Failure(
        FailureCode::kUsage,
        fmt::format("accelerator '{}' is not known, expected one of {}", id, fmt::join(ids, ", ")));
  }
  place.accelerator = found->second;
  place.gpu = place.accelerator.unit == "GPU";
  place.devices = place.gpu ? std::max<int64_t>(1, executor.gpus_per_run.value_or(1))
                            : place.threads * place.processes;
  place.gpu_bytes = GpuBytesOf(place);
  return place;
}

TrainRates::TrainRates(Workplace workplace,
                       const std::vector<MeasuredRates>& measured,
                       const std::vector<Probe>& probes)
    : workplace_(std::move(workplace)) {
  if (workplace_.imagined) return;
  for (const MeasuredRates& rates : measured) {
    const bool alike = (rates.threads == 0 || rates.threads == workplace_.threads) &&
                       rates.processes == workplace_.processes &&
                       (rates.device.empty() || IsGpu(rates.device) == workplace_.gpu);
    if (!alike) continue;
    std::vector<double>& all = measured_[{rates.model, rates.precision, rates.reduction}];
    all.insert(all.end(), rates.samples_per_second.begin(), rates.samples_per_second.end());
  }
  for (const Probe& probe : probes) {
    const bool here = workplace_.host.empty() || probe.host == workplace_.host;
    if (here && probe.request.threads == workplace_.threads &&
        IsGpu(probe.device) == workplace_.gpu)
      probes_.push_back(probe);
  }
}

TrainRate TrainRates::For(const RunSpec& spec) const {
  const auto measured =
      measured_.empty()
          ? measured_.end()
          : measured_.find(
                {CanonicalFields(spec.model), spec.precision, CanonicalFields(spec.reduction)});
  if (measured != measured_.end()) {
    const size_t attempts = measured->second.size();
    return RateOf(measured->second,
                  fmt::format("{} attempt{} on {}",
                              attempts,
                              attempts == 1 ? "" : "s",
                              workplace_.host.empty() ? "the cluster" : workplace_.host));
  }
  if (const Probe* probe = ProbeOf(spec)) {
    TrainRate rate;
    // A probe is one process and sees every token.
    const double speed = probe->samples_per_second * static_cast<double>(workplace_.processes) *
                         CountForwardGmacs(spec.model).total() * kTrainFlopsPerGmac /
                         TrainFlopsPerSample(spec);
    rate.samples_per_second = {speed / kSlowerThanProbe, speed, speed * kFasterThanProbe};
    rate.source = RateSource::kProbed;
    rate.from = fmt::format("probe on {}, batch {}", probe->host, probe->request.batch_size);
    return rate;
  }
  return Assumed(spec);
}

TrainRates KnownRates(const Workplace& workplace, const Store& store) {
  return {workplace, store.RatesAt(workplace.executor, workplace.host), LoadProbes(store.root())};
}

const Probe* TrainRates::ProbeOf(const RunSpec& spec) const {
  const Probe* newest = nullptr;
  for (const Probe& probe : probes_) {
    const ProbeRequest wanted = ProbeRequestFor(spec, probe.request.threads, probe.request.device);
    if (probe.request == wanted && (newest == nullptr || probe.at > newest->at)) newest = &probe;
  }
  return newest;
}

TrainRate TrainRates::Assumed(const RunSpec& spec) const {
  const Accelerator& a = workplace_.accelerator;
  const double peak = PeakFlopsOf(a, spec.precision) * static_cast<double>(workplace_.devices);
  const double full = peak / TrainFlopsPerSample(spec);
  TrainRate rate;
  rate.samples_per_second = {
      full * a.utilisation.low, full * a.utilisation.middle, full * a.utilisation.high};
  rate.source = RateSource::kAssumed;
  rate.from = fmt::format("{:.3g}% ({:.3g}% to {:.3g}%) of {}'s peak",
                          100 * a.utilisation.middle,
                          100 * a.utilisation.low,
                          100 * a.utilisation.high,
                          a.name);
  return rate;
}

}  // namespace sweep
