#include "core/token_reduction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/failure.h"

namespace sweep {
namespace {

constexpr double kGridDropout = 0.75;

[[noreturn]] void Refuse(const std::string& origin,
                         const char* field,
                         const std::string& value,
                         const std::string& expected) {
  throw Failure(FailureCode::kUsage,
                fmt::format("{}: reduction.{} is {}, expected {}", origin, field, value, expected));
}

}  // namespace

int64_t KeptPatchCount(const VisionSpec& vision, const TokenReductionSpec& reduction) {
  const int64_t patches = vision.patches();
  if (reduction.patch_dropout == 0) return patches;
  if (reduction.patch_mask == "grid") return patches / 4;
  const double kept = static_cast<double>(patches) * (1 - reduction.patch_dropout);
  if (reduction.patch_mask == "block") {
    const auto side = std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(kept)));
    return side * side;
  }
  return std::max<int64_t>(1, static_cast<int64_t>(kept));
}

void ValidateTokenReduction(const TokenReductionSpec& reduction,
                            const VisionSpec& vision,
                            const std::string& origin) {
  const auto& [mask, dropout, text, parts_of_speech] = reduction;
  if (!(dropout >= 0 && dropout < 1))
    Refuse(origin, "patch_dropout", fmt::to_string(dropout), "a share in [0, 1)");
  if (mask != "random" && mask != "grid" && mask != "block")
    Refuse(origin, "patch_mask", mask, "random, grid or block");
  if (mask == "grid" && dropout != 0) {
    if (dropout != kGridDropout)
      Refuse(origin, "patch_dropout", fmt::to_string(dropout), "0.75, what a grid mask drops");
    const int64_t side = vision.image_size / vision.patch_size;
    if (side % 2 != 0)
      Refuse(origin,
             "patch_mask",
             mask,
             fmt::format("random or block, as {} x {} patches do not divide by 2 x 2", side, side));
  }
  if (text != "truncate" && text != "random" && text != "block" && text != "syntax")
    Refuse(origin, "text", text, "truncate, random, block or syntax");
  if ((text == "syntax") == parts_of_speech.empty())
    Refuse(origin,
           "parts_of_speech",
           parts_of_speech.empty() ? "empty" : parts_of_speech,
           "the content id of a word list with text = syntax, and nothing without");
}

}  // namespace sweep
