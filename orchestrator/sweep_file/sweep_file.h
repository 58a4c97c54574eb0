#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "orchestrator/sweep_file/catalog.h"
#include "orchestrator/sweep_file/located_json.h"
#include "orchestrator/sweep_file/problem.h"
#include "orchestrator/sweep_file/run_rules.h"
#include "orchestrator/sweep_file/work_settings.h"

namespace sweep {

/// A law to fit when runs are done; texts as fit/options.h reads them, empty: the default.
struct FitRequest {
  std::string law;
  std::string select;
  std::string residual;
  std::string loss;
  std::string intervals;
  double level = 0.95;
  Json fix = Json::object();             ///< parameter → value
  Json bounds = Json::object();          ///< parameter → [lower, upper]
  std::string kind;                      ///< of points, as `sweep fit --kind`
  std::vector<std::string> curves;       ///< empty: all
  std::vector<std::string> evaluations;  ///< empty: all
  std::vector<std::string> metrics;      ///< empty: each task's main one
};

struct NamedEvaluation {
  std::string name;
  EvaluationDefinition definition;
};

/// One sweep file, read and checked. docs/sweep_file.md describes the format.
struct SweepFile {
  LocatedJson source;            ///< the document, for positions and the record of the sweep
  std::filesystem::path folder;  ///< what its relative paths are relative to
  Catalog catalog;               ///< shipped definitions and the file's own
  std::string name;
  std::string description;
  RunRules rules;
  std::vector<std::string> only;  ///< ids of runs, or how they begin; empty: all runs
  std::string chosen_by;          ///< what chose them by earlier results; empty: nothing did
  std::vector<NamedEvaluation> evaluations;
  std::map<std::string, std::string> curves;  ///< data set → curve, where it is not its own name
  std::vector<FitRequest> fits;
  ExecutorSettings executor;
  TrainerSettings trainer;
  std::vector<std::string> profiles;  ///< files whose settings stand where this one has none

  /// The curve that runs on `dataset` belong to.
  [[nodiscard]] std::string CurveOf(const std::string& dataset) const;
};

/// Reads the text of a sweep file. Never throws for any text: what is wrong is added to `problems`,
/// and with errors among them the result is good for nothing but further checks. `path` is used for
/// messages and for its folder.
[[nodiscard]] SweepFile ParseSweepFile(std::string_view text,
                                       const std::filesystem::path& path,
                                       const Catalog& catalog,
                                       ProblemList& problems,
                                       const WorkSettings& defaults = {});

/// Reads a sweep file from disk, over the profiles that apply to it (ReadProfiles). Throws
/// Failure(kUsage) with every error found.
[[nodiscard]] SweepFile ReadSweepFile(const std::filesystem::path& path, const Catalog& catalog);

}  // namespace sweep
