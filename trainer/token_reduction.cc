#include "trainer/token_reduction.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace sweep {
namespace {

enum Purpose : uint64_t { kPatchStream = 0x7A7C, kTextStream };

// Captions beyond this many tokens are cut before anything is chosen from them.
constexpr size_t kMostCaptionTokens = 1024;

// `kept.size()` of the numbers below `count`, ascending; each set is equally likely.
void ChooseAny(int64_t count, Random random, std::span<int64_t> kept) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto rest = static_cast<int64_t>(numbers.size() - i);
    std::swap(numbers[i], numbers[i + static_cast<size_t>(random.Below(rest))]);
  }
  std::copy_n(numbers.begin(), kept.size(), kept.begin());
  std::sort(kept.begin(), kept.end());
}

void ChooseOnePerWindow(int64_t side, Random random, std::span<int64_t> kept) {
  size_t next = 0;
  for (int64_t row = 0; row < side; row += 2) {
    for (int64_t column = 0; column < side; column += 2) {
      const int64_t corner = random.Below(4);
      kept[next++] = (row + corner / 2) * side + column + corner % 2;
    }
  }
  std::sort(kept.begin(), kept.end());
}

void ChooseSquare(int64_t side, Random random, std::span<int64_t> kept) {
  int64_t length = 1;
  while ((length + 1) * (length + 1) <= static_cast<int64_t>(kept.size())) ++length;
  const int64_t top = random.Below(side - length + 1);
  const int64_t left = random.Below(side - length + 1);
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto number = static_cast<int64_t>(i);
    kept[i] = (top + number / length) * side + left + number % length;
  }
}

}  // namespace

void ChoosePatches(const TokenReductionSpec& reduction,
                   int64_t side,
                   Random random,
                   std::span<int64_t> kept) {
  if (reduction.patch_mask == "grid") {
    ChooseOnePerWindow(side, random, kept);
  } else if (reduction.patch_mask == "block") {
    ChooseSquare(side, random, kept);
  } else {
    ChooseAny(side * side, random, kept);
  }
}

SampleReducer::SampleReducer(const RunSpec& spec,
                             const Tokenizer& tokenizer,
                             const DataLibrary& library)
    : reduction_(spec.reduction),
      seed_(spec.seed),
      side_(spec.model.vision.image_size / spec.model.vision.patch_size),
      kept_patches_(reduction_.patch_dropout > 0 ? KeptPatchCount(spec.model.vision, reduction_)
                                                 : 0),
      tokenizer_(tokenizer) {
  if (reduction_.text == "syntax") {
    const std::string& content = reduction_.parts_of_speech;
    parts_of_speech_ = std::make_unique<const PartsOfSpeech>(
        library.Locate(content, "the parts of speech"), content);
  }
}

void SampleReducer::Patches(int64_t sample, std::span<int64_t> kept) const {
  ChoosePatches(reduction_, side_, Random(seed_, kPatchStream, sample), kept);
}

int64_t SampleReducer::Encode(int64_t sample,
                              const std::string& caption,
                              std::span<int64_t> tokens) const {
  if (reduction_.text == "truncate") return tokenizer_.Encode(caption, tokens);
  if (reduction_.text == "syntax")
    return tokenizer_.Encode(parts_of_speech_->Shorten(caption, tokens.size() - 2), tokens);
  return EncodePart(sample, caption, tokens);
}

// Start and end stay; between them, tokens in their order.
int64_t SampleReducer::EncodePart(int64_t sample,
                                  const std::string& caption,
                                  std::span<int64_t> tokens) const {
  std::vector<int64_t> all(std::max(kMostCaptionTokens, tokens.size()));
  const int64_t length = tokenizer_.Encode(caption, all);
  const auto inner = static_cast<int64_t>(tokens.size()) - 2;
  if (length - 2 <= inner) {
    std::copy_n(all.begin(), tokens.size(), tokens.begin());
    return length;
  }
  std::vector<int64_t> chosen(static_cast<size_t>(inner));
  Random random(seed_, kTextStream, sample);
  if (reduction_.text == "block") {
    std::iota(chosen.begin(), chosen.end(), random.Below(length - 2 - inner + 1));
  } else {
    ChooseAny(length - 2, random, chosen);
  }
  tokens.front() = all.front();
  for (size_t i = 0; i < chosen.size(); ++i)
    tokens[i + 1] = all[static_cast<size_t>(chosen[i]) + 1];
  tokens.back() = all[static_cast<size_t>(length) - 1];
  return static_cast<int64_t>(tokens.size());
}

}  // namespace sweep
