#pragma once

#include <cstdint>

namespace sweep {

/// The factor on an fp16 run's loss that keeps small gradients above fp16's smallest number
/// (Micikevicius et al. 2018), with the numbers of PyTorch's GradScaler: 2^16 at the start, doubled
/// after 2,000 steps without overflow, halved by one, whose step is not taken. Powers of two, so it
/// rounds nothing. A part of every checkpoint.
struct LossScale {
  static constexpr double kFirst = 65536;
  static constexpr int64_t kStepsToDouble = 2000;

  double scale = kFirst;
  int64_t good_steps = 0;  ///< since it changed

  void NoteGood() {
    if (++good_steps < kStepsToDouble) return;
    scale *= 2;
    good_steps = 0;
  }
  void NoteOverflow() {
    scale /= 2;
    good_steps = 0;
  }
  bool operator==(const LossScale&) const = default;
};

template <class Visitor>
void VisitFields(Visitor& visit, LossScale& s) {
  visit("scale", s.scale, LossScale::kFirst);
  visit("good_steps", s.good_steps, 0);
}

}  // namespace sweep
