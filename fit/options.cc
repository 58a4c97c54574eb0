#include "fit/options.h"

#include <fmt/format.h>

#include <charconv>

#include "core/failure.h"

namespace sweep {
namespace {

// "binned:5" is {"binned", "5"}.
std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

[[noreturn]] void Refuse(std::string_view option,
                         std::string_view text,
                         std::string_view expected) {
  throw Failure(FailureCode::kUsage, fmt::format("{} '{}': expected {}", option, text, expected));
}

std::optional<double> Number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int> Count(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

struct LossName {
  LossKind kind;
  const char* name;
};
constexpr LossName kLosses[] = {{LossKind::kSquared, "squared"},
                                {LossKind::kHuber, "huber"},
                                {LossKind::kLad, "lad"},
                                {LossKind::kCauchy, "cauchy"},
                                {LossKind::kTukey, "tukey"}};

const std::map<Resampling, std::string> kSchemes = {{Resampling::kPairs, "pairs"},
                                                    {Resampling::kStratified, "stratified"},
                                                    {Resampling::kCluster, "cluster"},
                                                    {Resampling::kResidual, "residual"},
                                                    {Resampling::kBca, "bca"}};

bool HasScale(LossKind kind) {
  return kind != LossKind::kSquared && kind != LossKind::kLad;
}

}  // namespace

Loss ParseLoss(std::string_view text) {
  const char* const expected = "squared, huber:DELTA, lad, cauchy:C or tukey:C, the scale positive";
  const std::vector<std::string> parts = Split(text);
  for (const auto& [kind, name] : kLosses) {
    if (parts[0] != name || parts.size() != (HasScale(kind) ? 2U : 1U)) continue;
    if (!HasScale(kind)) return {.kind = kind};
    const std::optional<double> scale = Number(parts[1]);
    if (scale && *scale > 0 && *scale < std::numeric_limits<double>::infinity()) {
      return {.kind = kind, .scale = *scale};
    }
  }
  Refuse("--loss", text, expected);
}

Selection ParseSelection(std::string_view text) {
  const std::vector<std::string> parts = Split(text);
  if (text == "all") return {};
  if (text == "pareto") return {.kind = SelectKind::kPareto};
  if (parts[0] == "binned" && parts.size() == 2 && Count(parts[1])) {
    return {.kind = SelectKind::kBinned, .bins = *Count(parts[1])};
  }
  if (parts[0] == "quantile" && (parts.size() == 2 || parts.size() == 3)) {
    const std::optional<double> quantile = Number(parts[1]);
    const std::optional<int> bins = parts.size() == 3 ? Count(parts[2]) : std::optional<int>(5);
    if (quantile && *quantile > 0 && *quantile <= 1 && bins) {
      return {.kind = SelectKind::kQuantile, .bins = *bins, .quantile = *quantile};
    }
  }
  Refuse("--select", text, "all, pareto, binned:BINS or quantile:Q[:BINS] with 0 < Q <= 1");
}

Intervals ParseIntervals(std::string_view text) {
  if (text == "auto") return {};
  if (text == "t") return {.kind = IntervalKind::kStudent};
  if (text == "profile") return {.kind = IntervalKind::kProfile};
  if (text == "delta") return {.kind = IntervalKind::kDelta};
  if (text == "none") return {.kind = IntervalKind::kNone};
  const std::vector<std::string> parts = Split(text);
  Intervals intervals{.kind = IntervalKind::kBootstrap};
  bool good = parts[0] == "bootstrap" && parts.size() <= 3;
  if (good && parts.size() > 1) {
    good = Count(parts[1]).has_value();
    intervals.resamples = Count(parts[1]).value_or(0);
  }
  if (good && parts.size() == 3) {
    good = false;
    for (const auto& [scheme, name] : kSchemes) {
      if (parts[2] != name) continue;
      good = true;
      intervals.resampling = scheme;
    }
  }
  if (good) return intervals;
  Refuse("--intervals",
         text,
         "auto, t, profile, delta, none or "
         "bootstrap[:RESAMPLES[:pairs|stratified|cluster|residual|bca]]");
}

Residual ParseResidual(std::string_view text) {
  if (text == "log") return Residual::kLog;
  if (text == "linear") return Residual::kLinear;
  Refuse("--residual", text, "log or linear");
}

std::string ToString(const Loss& loss) {
  for (const auto& [kind, name] : kLosses) {
    if (kind != loss.kind) continue;
    return HasScale(kind) ? fmt::format("{}:{}", name, loss.scale) : name;
  }
  return "?";
}

std::string ToString(const Selection& selection) {
  switch (selection.kind) {
    case SelectKind::kAll:
      return "all";
    case SelectKind::kPareto:
      return "pareto";
    case SelectKind::kBinned:
      return fmt::format("binned:{}", selection.bins);
    case SelectKind::kQuantile:
      return fmt::format("quantile:{}:{}", selection.quantile, selection.bins);
  }
  return "?";
}

std::string ToString(const Intervals& intervals) {
  static const std::map<IntervalKind, std::string> names = {
      {IntervalKind::kAuto, "auto"},
      {IntervalKind::kStudent, "t"},
      {IntervalKind::kProfile, "profile"},
      {IntervalKind::kDelta, "delta"},
      {IntervalKind::kNone, "none"},
      {IntervalKind::kBootstrap, "bootstrap"}};
  if (intervals.kind != IntervalKind::kBootstrap) return names.at(intervals.kind);
  return fmt::format("bootstrap:{}:{}", intervals.resamples, kSchemes.at(intervals.resampling));
}

std::string ToString(Residual residual) {
  return residual == Residual::kLog ? "log" : "linear";
}

}  // namespace sweep
