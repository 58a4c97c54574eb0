#include "trainer/instability.h"

#include <algorithm>
#include <cmath>

namespace sweep {
namespace {

constexpr size_t kWindow = 128;
constexpr size_t kLeastJudged = 32;
constexpr double kDeviationOfMedianDeviation = 1.4826;  // of a normal distribution

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double MedianDeviation(std::vector<double> values, double median) {
  for (double& value : values) value = std::abs(value - median);
  return Median(std::move(values));
}

}  // namespace

StepProblem StabilityWatch::Judge(double loss, double gradient_norm) const {
  if (!std::isfinite(loss) || !std::isfinite(gradient_norm)) return StepProblem::kNotFinite;
  const std::vector<double>& norms = state_.gradient_norms;
  if (spec_.spike_threshold == 0 || norms.size() < kLeastJudged) return StepProblem::kNone;
  const double median = Median(norms);
  const double deviation = kDeviationOfMedianDeviation * MedianDeviation(norms, median);
  return gradient_norm > median + spec_.spike_threshold * deviation ? StepProblem::kSpike
                                                                    : StepProblem::kNone;
}

void StabilityWatch::NoteSound(double gradient_norm) {
  state_.skipped_in_a_row = 0;
  if (spec_.spike_threshold == 0) return;
  state_.gradient_norms.push_back(gradient_norm);
  if (state_.gradient_norms.size() > kWindow)
    state_.gradient_norms.erase(state_.gradient_norms.begin());
}

bool StabilityWatch::NoteSkipped() {
  ++state_.skipped_steps;
  return ++state_.skipped_in_a_row <= spec_.limit;
}

bool StabilityWatch::NoteRewound(const StabilityState& earlier, int64_t batches) {
  const int64_t rewinds = state_.rewinds + 1;
  const int64_t skipped_batches = state_.skipped_batches + batches;
  state_ = earlier;
  state_.rewinds = rewinds;
  state_.skipped_batches = skipped_batches;
  return rewinds <= spec_.limit;
}

std::string NameOf(StepProblem problem) {
  return problem == StepProblem::kSpike ? "spike" : "not_finite";
}

}  // namespace sweep
