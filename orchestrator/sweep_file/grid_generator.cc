#include "orchestrator/sweep_file/grid_generator.h"

#include <cmath>

#include "core/compute.h"

namespace sweep {
namespace {

std::optional<LogRange> ReadRange(const FieldReader& reader,
                                  const Json& read,
                                  const char* name,
                                  const std::string& pointer) {
  if (!read.contains(name)) return std::nullopt;
  const std::string at = PointerTo(pointer, name);
  const Json range = reader.ReadObject(LogRangeFields(), read[name], at);
  if (range.size() != LogRangeFields().size()) return std::nullopt;
  const LogRange result{
      range["from"].get<double>(), range["to"].get<double>(), range["count"].get<int64_t>()};
  if (result.from > result.to) reader.Error(at, "'from' is larger than 'to'");
  return result;
}

void ReadModels(const FieldReader& reader,
                const Json& names,
                const std::string& pointer,
                GridGenerator& generator) {
  static const Field kModel = {.name = "model", .type = FieldType::kModel};
  for (size_t i = 0; i < names.size(); ++i) {
    if (const auto name = reader.ReadValue(kModel, names[i], PointerTo(pointer, i)))
      generator.models.push_back(name->get<std::string>());
  }
  if (names.empty()) reader.Reject(names, pointer, "at least one model");
}

}  // namespace

std::vector<double> LogRange::Values() const {
  if (count == 1) return {from};
  std::vector<double> values;
  const double steps = static_cast<double>(count - 1);
  for (int64_t i = 0; i < count; ++i) {
    const double share = static_cast<double>(i) / steps;
    values.push_back(i + 1 == count ? to : from * std::pow(to / from, share));
  }
  return values;
}

std::optional<GridGenerator> ReadGridGenerator(const FieldReader& reader,
                                               const Json& json,
                                               const std::string& pointer) {
  if (!reader.IsObject(json, pointer, "an object with models and a range")) return std::nullopt;
  const Json read = reader.ReadObject(GenerateFields(), json, pointer);
  if (!read.contains("models")) return std::nullopt;
  if (json.contains("samples_seen") == json.contains("compute_gmacs")) {
    reader.Error(pointer, "expected samples_seen or compute_gmacs, one of the two");
    return std::nullopt;
  }
  GridGenerator generator;
  ReadModels(reader, read["models"], PointerTo(pointer, "models"), generator);
  generator.samples_seen = ReadRange(reader, read, "samples_seen", pointer);
  generator.compute_gmacs = ReadRange(reader, read, "compute_gmacs", pointer);
  generator.least_samples = read.value("least_samples", generator.least_samples);
  generator.most_samples = read.value("most_samples", generator.most_samples);
  if (read.contains("budget_gmacs")) generator.budget_gmacs = read["budget_gmacs"].get<double>();
  if (read.contains("cooldown_share")) {
    generator.cooldown_share = read["cooldown_share"].get<double>();
    if (generator.budget_gmacs) {
      reader.Error(PointerTo(pointer, "budget_gmacs"),
                   "cannot be combined with cooldown_share: branches need their trunk");
    }
  }
  if (!generator.samples_seen && !generator.compute_gmacs) return std::nullopt;
  return generator;
}

std::vector<GeneratedPoint> GeneratePoints(const GridGenerator& generator, const Catalog& catalog) {
  std::vector<GeneratedPoint> points;
  for (const std::string& model : generator.models) {
    const double gmacs = CountForwardGmacs(catalog.models.at(model).spec).total();
    const LogRange& range =
        generator.samples_seen ? *generator.samples_seen : *generator.compute_gmacs;
    for (const double value : range.Values()) {
      const double samples = std::round(generator.samples_seen ? value : value / gmacs);
      constexpr double kMostSamples = 9e18;  // of 64 bits
      if (samples < static_cast<double>(generator.least_samples) || samples > kMostSamples)
        continue;
      const auto count = static_cast<int64_t>(samples);
      if (count <= generator.most_samples) points.push_back({model, count});
    }
  }
  return points;
}

}  // namespace sweep
