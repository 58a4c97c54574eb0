#pragma once

#include <cstdint>
#include <string>

#include "core/model_spec.h"

namespace sweep {

/// Tokens left out while training, to pay for more samples. Smaller images and shorter contexts are
/// dimensions of the model; this is what is left out of those.
struct TokenReductionSpec {
  std::string patch_mask = "random";  ///< which patches are dropped: `random`, `grid` (one of each
                                      ///< 2 x 2 stays) or `block` (a square stays)
  double patch_dropout = 0;           ///< share of the patches dropped, in [0, 1)
  std::string text = "truncate";  ///< which tokens of a caption that is too long stay: `truncate`
                                  ///< (the first), `random`, `block` (a run) or `syntax`
  std::string parts_of_speech;    ///< content id of the word list `syntax` ranks by
  bool operator==(const TokenReductionSpec&) const = default;
};

template <class Visitor>
void VisitFields(Visitor& visit, TokenReductionSpec& s) {
  visit("patch_mask", s.patch_mask, "random");
  visit("patch_dropout", s.patch_dropout, 0.0);
  visit("text", s.text, "truncate");
  visit("parts_of_speech", s.parts_of_speech, "");
}

/// Patches of an image that training looks at: max(1, int(n (1 - patch_dropout))) of n for `random`
/// (Li et al. 2023, FLIP), a quarter for `grid`, and for `block` the largest square of at most that
/// share (Li et al. 2023, CLIPA).
[[nodiscard]] int64_t KeptPatchCount(const VisionSpec& vision, const TokenReductionSpec& reduction);

/// Throws Failure(kUsage) naming `origin`, the field, its value and what was expected.
void ValidateTokenReduction(const TokenReductionSpec& reduction,
                            const VisionSpec& vision,
                            const std::string& origin);

}  // namespace sweep
