#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json_fields.h"

namespace sweep {

inline constexpr double kSecondsPerHour = 3600;

/// A number and the range it is believed to lie in.
struct RangedEstimate {
  double low = 0;
  double middle = 0;
  double high = 0;
};

[[nodiscard]] inline RangedEstimate Sum(const RangedEstimate& a, const RangedEstimate& b) {
  return {a.low + b.low, a.middle + b.middle, a.high + b.high};
}

[[nodiscard]] inline RangedEstimate Scaled(const RangedEstimate& a, double factor) {
  return {a.low * factor, a.middle * factor, a.high * factor};
}

template <class Visitor>
void VisitFields(Visitor& visit, RangedEstimate& s) {
  visit("low", s.low);
  visit("middle", s.middle);
  visit("high", s.high);
}

/// A kind of device and how much of its peak training is assumed to use: the guess for what was
/// never measured.
struct Accelerator {
  std::string name;
  std::string unit;                          ///< `GPU` or `core`: what its hours are hours of
  double memory_bytes = 0;                   ///< of one; 0: not its own, as a core's
  std::map<std::string, double> peak_flops;  ///< a second, by precision; fp32's must be there
  RangedEstimate utilisation;                ///< share of the peak, by model FLOPs
};

template <class Visitor>
void VisitFields(Visitor& visit, Accelerator& s) {
  visit("name", s.name);
  visit("unit", s.unit);
  visit("memory_bytes", s.memory_bytes, 0.0);
  visit("peak_flops", s.peak_flops);
  visit("utilisation", s.utilisation);
}

/// Its peak in FLOP/s in `precision`; where that is not known, in fp32, which is never faster.
[[nodiscard]] double PeakFlopsOf(const Accelerator& accelerator, const std::string& precision);

/// The ones of the shipped accelerators.json, by id (`a100`, …, `core`).
[[nodiscard]] std::map<std::string, Accelerator> LoadAccelerators();

}  // namespace sweep
