#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/run_spec.h"

namespace sweep {

/// What the reactions to unstable steps have done so far: a part of every checkpoint.
struct StabilityState {
  int64_t skipped_steps = 0;     ///< steps that changed nothing, overflows of fp16 included
  int64_t skipped_in_a_row = 0;  ///< without a sound step in between
  int64_t skipped_batches = 0;   ///< of data, by rewinds
  int64_t rewinds = 0;
  std::vector<double> gradient_norms = {};  ///< of the last sound steps
  bool operator==(const StabilityState&) const = default;
};

/// Why a step must not be taken.
enum class StepProblem { kNone, kNotFinite, kSpike };

/// Tells unstable steps from sound ones. A step is unstable when its loss or gradient is not
/// finite, or when its gradient norm is more than `spike_threshold` robust standard deviations
/// (1.4826 times the median absolute deviation: Leys et al. 2013, Detecting outliers) above the
/// median of the last 128 sound steps; the first 32 are not judged.
///
/// The reactions are those of the literature: PaLM (Chowdhery et al. 2022, section 5.1) goes back
/// to a checkpoint of about 100 steps before a spike and leaves out the batches seen since, because
/// a spike needs both a state and a batch; skipping single updates is what loss scaling does
/// (Micikevicius et al. 2018). Gradient clipping did not cure CLIP's spikes in fp16, bf16 did
/// (open_clip issue 147).
class StabilityWatch {
 public:
  explicit StabilityWatch(const InstabilitySpec& spec) : spec_(spec) {}

  [[nodiscard]] StepProblem Judge(double loss, double gradient_norm) const;
  void NoteSound(double gradient_norm);
  /// Counts a step that is left out. False when there were too many in a row.
  [[nodiscard]] bool NoteSkipped();
  /// Takes on the state of an earlier step, to go on there past `batches` more. False when the run
  /// has gone back too often.
  [[nodiscard]] bool NoteRewound(const StabilityState& earlier, int64_t batches);

  [[nodiscard]] const StabilityState& state() const { return state_; }
  void Restore(const StabilityState& state) { state_ = state; }
  /// A step of fp16 that changed nothing.
  void NoteOverflow() { ++state_.skipped_steps; }

 private:
  InstabilitySpec spec_;
  StabilityState state_;
};

/// `not_finite` or `spike`.
[[nodiscard]] std::string NameOf(StepProblem problem);

template <class Visitor>
void VisitFields(Visitor& visit, StabilityState& s) {
  visit("skipped_steps", s.skipped_steps, 0);
  visit("skipped_in_a_row", s.skipped_in_a_row, 0);
  visit("skipped_batches", s.skipped_batches, 0);
  visit("rewinds", s.rewinds, 0);
  visit("gradient_norms", s.gradient_norms, std::vector<double>());
}

}  // namespace sweep
