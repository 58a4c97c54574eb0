#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "core/run_spec.h"
#include "db/records.h"
#include "db/store.h"
#include "orchestrator/accelerator.h"
#include "orchestrator/probe.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// Where runs work, as far as their speed and their price go.
struct Workplace {
  std::string executor;
  std::string host;         ///< this machine; empty for a cluster, whose nodes are taken as equal
  int64_t threads = 1;      ///< CPU threads of each process of a run
  int64_t processes = 1;    ///< of a run, sharing every batch
  bool gpu = false;         ///< do runs work on GPUs?
  int64_t devices = 1;      ///< GPUs of a run, else cores: what its hours are multiplied by
  Accelerator accelerator;  ///< assumed for what was not measured
  double gpu_bytes = 0;     ///< memory of its smallest GPU: as its driver says, else the data sheet
                            ///< of the accelerator; 0 without GPUs
  bool imagined = false;    ///< an accelerator was named: nothing measured here applies

  [[nodiscard]] const char* hours_unit() const { return gpu ? "GPU-hours" : "core-hours"; }
};

/// Where the runs of these settings work. `accelerator` is an id of accelerators.json: as if they
/// worked on that; empty: on what is here. Throws Failure(kUsage) for an unknown id.
[[nodiscard]] Workplace WorkplaceOf(const ExecutorSettings& executor,
                                    const TrainerSettings& trainer,
                                    const std::string& accelerator);

/// Where the number for a run's speed is from, best first.
enum class RateSource { kMeasured, kProbed, kAssumed };
[[nodiscard]] const char* ToString(RateSource source);

/// Speed of training one run.
struct TrainRate {
  RangedEstimate samples_per_second;
  RateSource source = RateSource::kAssumed;
  std::string from;  ///< for people: "5 attempts on node7", "13% (3% to 30%) of NVIDIA A100's peak"
};

/// How fast runs train at a workplace. The one place that chooses between sources: attempts of the
/// same model, precision, token reduction and threads and processes there, else a probe of one such
/// process, else the accelerator's assumed share of its peak.
class TrainRates {
 public:
  /// `measured` are those of the workplace's executor and host.
  TrainRates(Workplace workplace,
             const std::vector<MeasuredRates>& measured,
             const std::vector<Probe>& probes);

  [[nodiscard]] TrainRate For(const RunSpec& spec) const;
  [[nodiscard]] const Workplace& workplace() const { return workplace_; }

 private:
  [[nodiscard]] const Probe* ProbeOf(const RunSpec& spec) const;
  [[nodiscard]] TrainRate Assumed(const RunSpec& spec) const;

  Workplace workplace_;
  using SpeedKey = std::tuple<std::string, std::string, std::string>;
  std::map<SpeedKey, std::vector<double>> measured_;  // by model, precision, token reduction
  std::vector<Probe> probes_;
};

/// What the store's attempts and probes tell of a workplace.
[[nodiscard]] TrainRates KnownRates(const Workplace& workplace, const Store& store);

}  // namespace sweep
