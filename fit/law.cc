#include "fit/law.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/failure.h"
#include "fit/laws/laws.h"

namespace sweep {
namespace {

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

template <class Range>
std::string Names(const Range& named) {
  std::string text;
  for (const auto& item : named) text += (text.empty() ? "" : ", ") + item.name;
  return text;
}

}  // namespace

std::size_t Law::Index(std::string_view parameter) const {
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    if (parameters[k].name == parameter) return k;
  }
  throw Failure(
      FailureCode::kUsage,
      fmt::format("law {} has no parameter {}; it has {}", name, parameter, Names(parameters)));
}

double InSpace(double value, Residual space) {
  return space == Residual::kLog ? std::log(value) : value;
}

double FromSpace(double value, Residual space) {
  return space == Residual::kLog ? std::exp(value) : value;
}

double ToNatural(const Parameter& parameter, double inner) {
  return parameter.transform == Transform::kLog ? std::exp(inner) : inner;
}

double ToInner(const Parameter& parameter, double natural) {
  if (parameter.transform == Transform::kIdentity) return natural;
  return natural > 0 ? std::log(natural) : -std::numeric_limits<double>::infinity();
}

const std::vector<Law>& Laws() {
  static const std::vector<Law> laws = {PowerLaw(),
                                        PowerFloorLaw(),
                                        PowerOffsetLaw(),
                                        ChinchillaLaw(),
                                        KaplanLaw(),
                                        DataConstrainedLaw(),
                                        JointBatchLaw(),
                                        InverseTokensLaw(),
                                        Bnsl1Law(),
                                        Bnsl2Law(),
                                        Bnsl3Law(),
                                        M4Law(),
                                        SigmoidLaw()};
  return laws;
}

const Law& FindLaw(std::string_view name) {
  const Law* nearest = nullptr;
  for (const Law& law : Laws()) {
    if (law.name == name) return law;
    if (!nearest || EditDistance(law.name, name) < EditDistance(nearest->name, name))
      nearest = &law;
  }
  throw Failure(
      FailureCode::kUsage,
      fmt::format(
          "there is no law {}; did you mean {}? (all: {})", name, nearest->name, Names(Laws())));
}

}  // namespace sweep
