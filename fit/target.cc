#include "fit/target.h"

#include <fmt/format.h>

#include <cmath>

#include "core/failure.h"

namespace sweep {

PointTable TargetPoint(const Law& law, const Target& at) {
  PointTable point{.variables = law.variables, .observable = "L", .y = {1}};
  for (const std::string& name : law.variables) {
    auto found = at.find(name);
    if (found == at.end() && name == "x") found = at.find("C");
    if (found == at.end() && name == "C") found = at.find("x");
    if (found == at.end() || !(found->second > 0) || !std::isfinite(found->second)) {
      throw Failure(
          FailureCode::kUsage,
          fmt::format("law {} is predicted at positive values of {}; {} is missing or not positive",
                      law.name,
                      fmt::join(law.variables, ", "),
                      name));
    }
    point.columns.push_back({found->second});
  }
  return point;
}

Target TargetOfLaw(const Law& law, const Target& at) {
  const PointTable point = TargetPoint(law, at);
  Target target;
  for (std::size_t v = 0; v < law.variables.size(); ++v)
    target[law.variables[v]] = point.columns[v].front();
  return target;
}

ValueAtTarget::ValueAtTarget(const Law& law,
                             const Constants& constants,
                             Residual space,
                             const Target& at)
    : space_(space), bound_(law.bind(TargetPoint(law, at), constants)) {}

double ValueAtTarget::operator()(const std::vector<double>& inner) {
  bound_->Evaluate(inner, space_, false, evaluation_);
  return evaluation_.value.front();
}

std::vector<double> ValueAtTarget::Gradient(const std::vector<double>& inner) {
  bound_->Evaluate(inner, space_, true, evaluation_);
  return evaluation_.jacobian;
}

}  // namespace sweep
