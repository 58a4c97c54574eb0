#include "orchestrator/cli/predict_target.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "core/compute.h"
#include "core/failure.h"
#include "orchestrator/data_files.h"
#include "orchestrator/point_table.h"
#include "orchestrator/sweep_file/catalog.h"
#include "orchestrator/sweep_file/problem.h"
#include "orchestrator/sweep_file/quantity.h"

namespace sweep {
namespace {

// The published tables count a model's GMACs in two decimals, and their curves are fitted to such
// values.
double PublishedGmacs(double gmacs) {
  return std::round(gmacs * 100) / 100;
}

}  // namespace

std::map<std::string, double> ReadTarget(const std::string& text) {
  std::map<std::string, double> target;
  for (const auto& [name, value] : ParseAssignments(text, "--at")) {
    std::size_t used = 0;
    try {
      target[name] = std::stod(value, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used != value.size())
      throw Failure(FailureCode::kUsage, fmt::format("--at {}: '{}' is not a number", name, value));
  }
  return target;
}

std::map<std::string, double> TargetOfModel(const std::string& model_name,
                                            const std::string& samples_text,
                                            bool published) {
  const Catalog catalog = LoadCatalog(DataPath(""));
  const std::optional<std::string> name = catalog.FullModelName(model_name);
  if (!name) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("--model {}: no such model{}; `sweep models` lists them",
                              model_name,
                              DidYouMean(model_name, catalog.ModelNames())));
  }
  const std::optional<Quantity> samples = ParseQuantity(samples_text, catalog.counts);
  if (!samples || !(samples->value > 0)) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("--samples '{}': expected a count such as 128k, 12.8B or laion:34B",
                              samples_text));
  }
  const ModelSpec& model = catalog.models.at(*name).spec;
  const double gmacs = CountForwardGmacs(model).total();
  return {{"C", (published ? PublishedGmacs(gmacs) : gmacs) * samples->value},
          {"N", static_cast<double>(CountParameters(model).total())},
          {"D", samples->value}};
}

std::map<std::string, double> ReadOneTarget(const std::string& command,
                                            const std::vector<std::string>& at,
                                            const std::string& model,
                                            const std::string& samples) {
  if (at.size() + (model.empty() ? 0 : 1) != 1 || model.empty() != samples.empty()) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{} needs one target: --at with the law's variables, as --at C=1e12, "
                              "or --model and --samples",
                              command));
  }
  return at.empty() ? TargetOfModel(model, samples, false) : ReadTarget(at.front());
}

std::map<std::string, double> ForLaw(const std::map<std::string, double>& target,
                                     const FitReport& report) {
  std::map<std::string, double> wanted;
  for (const auto& [variable, value] : target) {
    if (report.ranges.contains(variable)) wanted[variable] = value;
  }
  return wanted;
}

std::string TargetText(const std::map<std::string, double>& target) {
  std::string text;
  for (const auto& [name, value] : target)
    text += fmt::format("{}{} = {:.6g}", text.empty() ? "" : ", ", name, value);
  return text;
}

}  // namespace sweep
