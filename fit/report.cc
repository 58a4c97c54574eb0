#include "fit/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/failure.h"

namespace sweep {
namespace {

Json OrNull(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

std::string Limit(const std::optional<double>& limit) {
  return limit ? fmt::format("{:.6g}", *limit) : "unbounded";
}

std::string Interval(const Estimate& estimate) {
  if (estimate.fixed) return "held";
  if (!estimate.low && !estimate.high) return "no interval";
  return fmt::format("[{}, {}]", Limit(estimate.low), Limit(estimate.high));
}

Json EstimatesJson(const FitReport& report) {
  Json estimates = Json::object();
  for (const Estimate& e : report.estimates) {
    estimates[e.name] = {{"value", e.value}, {"low", OrNull(e.low)}, {"high", OrNull(e.high)}};
    if (e.fixed) estimates[e.name]["fixed"] = true;
  }
  return estimates;
}

Json ExcludedJson(const FitReport& report) {
  Json excluded = Json::array();
  for (const ExcludedPoint& point : report.excluded) {
    excluded.push_back({{"point", point.label}, {"reason", point.reason}});
  }
  return excluded;
}

Json RangesJson(const FitReport& report) {
  Json ranges = Json::object();
  for (const auto& [name, range] : report.ranges) ranges[name] = {range.low, range.high};
  return ranges;
}

// The laws that were compared, best first.
std::string ChoiceText(const FitReport& report) {
  if (report.law_choice.is_null()) return "";
  const auto number = [](const Json& value) {
    return value.is_null() ? std::string("-") : fmt::format("{:.4g}", value.get<double>());
  };
  std::string text =
      fmt::format("  {:<18}{:>12}{:>16}{:>16}\n", "law", "AICc", "leave one out", "extrapolation");
  for (const Json& score : report.law_choice.at("scores")) {
    text += fmt::format("  {:<18}{:>12}{:>16}{:>16}\n",
                        score.at("law").get<std::string>(),
                        number(score.at("aicc")),
                        number(score.at("leave_one_out")),
                        number(score.at("rolling_origin")));
  }
  return text;
}

// One line a reason, with the first few points of each: JSON has them all.
std::string ExcludedText(const FitReport& report) {
  constexpr std::size_t kShown = 4;
  std::vector<std::string> reasons;
  std::map<std::string, std::vector<std::string>> points;
  for (const ExcludedPoint& point : report.excluded) {
    if (!points.contains(point.reason)) reasons.push_back(point.reason);
    points[point.reason].push_back(point.label);
  }
  std::string text;
  for (const std::string& reason : reasons) {
    std::vector<std::string> labels = points[reason];
    const std::size_t count = labels.size();
    labels.resize(std::min(count, kShown));
    text += fmt::format("  left out ({}): {}{}: {}\n",
                        count,
                        fmt::join(labels, ", "),
                        count > kShown ? ", …" : "",
                        reason);
  }
  return text;
}

}  // namespace

const Estimate& FitReport::At(std::string_view parameter) const {
  for (const Estimate& estimate : estimates) {
    if (estimate.name == parameter) return estimate;
  }
  throw Failure(FailureCode::kUsage, fmt::format("law {} has no parameter {}", law, parameter));
}

Json ToJson(const FitReport& report) {
  return {
      {"fit_id", report.id},
      {"group", report.group},
      {"law", report.law},
      {"formula", report.formula},
      {"n", report.n},
      {"kind", report.kind},
      {"kinds_left_out", report.kinds_left_out},
      {"estimates", EstimatesJson(report)},
      {"objective", report.objective},
      {"objective_definition",
       report.loss.kind == LossKind::kLad ? "sum of w*|r|" : "1/2 sum of w*rho(r^2)"},
      {"residual", ToString(report.residual)},
      {"loss", ToString(report.loss)},
      {"select", ToString(report.select)},
      {"interval_method", ToString(report.intervals)},
      {"level", report.level},
      {"r_squared", OrNull(report.r_squared)},
      {"sigma", report.linearisation.sigma},
      {"degrees_of_freedom", report.linearisation.degrees},
      {"starts", report.starts},
      {"starts_polished", report.starts_polished},
      {"starts_at_best", report.starts_at_best},
      {"active_bounds", report.active_bounds},
      {"condition_number", OrNull(report.condition_number)},
      {"excluded", ExcludedJson(report)},
      {"warnings", report.warnings},
      {"guards", ToJson(report.guards)},
      {"stopped", report.stopped},
      {"ranges", RangesJson(report)},
      {"constants", report.constants},
      {"derived", report.derived},
      {"law_choice", report.law_choice},
  };
}

Json ToJson(const std::vector<FitReport>& reports) {
  Json fits = Json::array();
  for (const FitReport& report : reports) fits.push_back(ToJson(report));
  return {{"schema", "sweep.fit/1"}, {"fits", std::move(fits)}};
}

std::string ShortText(const FitReport& report) {
  std::string text = fmt::format("{}: {}", report.law, report.formula);
  for (const Estimate& e : report.estimates) {
    text += fmt::format("; {} = {:.6g} {}", e.name, e.value, Interval(e));
  }
  text += fmt::format("; n = {}", report.n);
  if (!report.warnings.empty()) text += fmt::format("; {} warnings", report.warnings.size());
  return text;
}

std::string FullText(const FitReport& report) {
  std::string text = fmt::format("{}: y = {}\n", report.law, report.formula);
  for (const Estimate& e : report.estimates) {
    text += fmt::format("  {:<8} {:>14.8g}  {}\n", e.name, e.value, Interval(e));
  }
  text += fmt::format("  {:.0f} % intervals by {}; {} points ({}), {} residuals, {} loss\n",
                      100 * report.level,
                      ToString(report.intervals),
                      report.n,
                      ToString(report.select),
                      ToString(report.residual),
                      ToString(report.loss));
  text +=
      fmt::format("  objective {:.12g} ({}); {} of {} finished starts at the best, {} tried; {}\n",
                  report.objective,
                  report.loss.kind == LossKind::kLad ? "sum of w|r|" : "half the sum of w rho(r²)",
                  report.starts_at_best,
                  report.starts_polished,
                  report.starts,
                  report.stopped);
  for (const auto& [name, value] : report.derived)
    text += fmt::format("  {} = {:.6g}\n", name, value);
  for (const std::string& bound : report.active_bounds) text += "  active bound: " + bound + "\n";
  if (report.condition_number) {
    text += fmt::format("  condition number {:.3g}\n", *report.condition_number);
  }
  for (const std::string& warning : report.warnings) text += "  warning: " + warning + "\n";
  return text + ChoiceText(report) + ExcludedText(report);
}

}  // namespace sweep
