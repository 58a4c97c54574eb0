#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json_fields.h"
#include "core/run_spec.h"
#include "orchestrator/sweep_file/sweep_file.h"

namespace sweep {

/// `STORE/probes/HOST/KEY/probe.json`: how fast clip_train trains one model on one machine, on
/// synthetic data. KEY is the hash of what was asked (ProbeRequest).
struct ProbeRequest {
  ModelSpec model;
  std::string precision;
  int64_t batch_size = 0;
  int64_t threads = 1;
  std::string device;  ///< as it was asked for: `auto`, `cpu` or `cuda`
  bool operator==(const ProbeRequest&) const = default;
};

struct Probe {
  std::string schema = "sweep.probe/1";
  std::string host;
  double at = 0;  ///< Unix time, seconds
  ProbeRequest request;
  std::string device;  ///< that it trained on
  double samples_per_second = 0;
  Json report;  ///< all that `clip_train bench` said
};

template <class Visitor>
void VisitFields(Visitor& visit, ProbeRequest& s) {
  visit("model", s.model);
  visit("precision", s.precision);
  visit("batch_size", s.batch_size);
  visit("threads", s.threads);
  visit("device", s.device);
}

template <class Visitor>
void VisitFields(Visitor& visit, Probe& s) {
  visit("schema", s.schema);
  visit("host", s.host);
  visit("at", s.at);
  visit("request", s.request);
  visit("device", s.device);
  visit("samples_per_second", s.samples_per_second);
  visit("report", s.report);
}

/// What to probe for a run: its model and precision, with its batch or, where that is large, as
/// many pairs as a probe's step takes.
[[nodiscard]] ProbeRequest ProbeRequestFor(const RunSpec& spec,
                                           int64_t threads,
                                           const std::string& device);

/// All probes below `store`, of every machine; a file that is not whole counts as absent.
[[nodiscard]] std::vector<Probe> LoadProbes(const std::filesystem::path& store);

/// Trains for some seconds with the trainer's `bench` and keeps the result in `store`. Throws
/// Failure(kUsage) when the trainer has none or fails, with what it said.
Probe RunProbe(const std::filesystem::path& store,
               const TrainerSettings& trainer,
               const ProbeRequest& request);

}  // namespace sweep
