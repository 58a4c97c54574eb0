#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/evaluation_spec.h"
#include "core/json.h"
#include "core/run_spec.h"

namespace sweep {

/// One evaluation that a run shall get.
struct PlannedEvaluation {
  std::string eval_id;
  std::string name;  ///< label of results
  /// Of the point it makes: `cooldown` at the end of a branch whose rate falls, that left a run of
  /// constant rate; else `final`.
  std::string point_kind = "final";
  int64_t samples_seen = 0;  ///< which checkpoint, in the run's own segment
  EvaluationSpec spec;
  bool operator==(const PlannedEvaluation&) const = default;
};

/// One run of a sweep, with everything that planning, executing and fitting want to know of it.
struct ExpandedRun {
  std::string run_id;
  RunSpec spec;
  std::string model;                  ///< name, a label
  std::string dataset;                ///< name, a label
  std::string curve;                  ///< which law its points belong to
  int64_t requested_samples = 0;      ///< samples_seen as the sweep file has it, before rounding up
  Json coordinates = Json::object();  ///< every run field → value; samples_seen as requested
  std::string parent_run_id;          ///< whose weights it starts from; empty: nobody's
  std::vector<int64_t>
      keep_at;  ///< samples seen at which other runs need its checkpoint, ascending
  std::vector<PlannedEvaluation> evaluations;
  int64_t params = 0;
  double gmacs_per_sample = 0;  ///< forward, both towers
  double compute_gmacs = 0;     ///< forward GMACs of the run and of what its ancestors did for it
  double train_flops = 0;       ///< floating-point operations of training, counted the same way
  /// Content id → file or folder on this machine.
  std::map<std::string, std::string> locations;
};

/// The runs of a sweep: parents before their children, otherwise by ascending compute; every run_id
/// once.
struct ExpandedSweep {
  std::string name;
  Json source;  ///< the sweep file's document
  std::vector<ExpandedRun> runs;
  std::map<std::string, std::string> install_hints;  ///< content id → what to do when it is absent

  [[nodiscard]] const ExpandedRun* Find(const std::string& run_id) const;
};

/// Forward GMACs that the runs at the ends of all chains would cost beyond what the sweep costs,
/// were each trained from scratch by itself; 0 for a sweep without branches.
[[nodiscard]] double GmacsSavedByBranches(const ExpandedSweep& sweep);

}  // namespace sweep
