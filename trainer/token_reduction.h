#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/run_spec.h"
#include "trainer/data_library.h"
#include "trainer/parts_of_speech.h"
#include "trainer/random.h"
#include "trainer/tokenizer.h"

namespace sweep {

/// Chooses which patches of a `side` x `side` grid stay, as `reduction` says: kept.size() =
/// KeptPatchCount numbers, ascending. `random` takes any, `grid` one of each 2 x 2 window, `block`
/// a square.
void ChoosePatches(const TokenReductionSpec& reduction,
                   int64_t side,
                   Random random,
                   std::span<int64_t> kept);

/// What of each training sample the towers see. A function of the run's seed and the sample's
/// number alone, so that a resumed run and any number of processes see the same.
class SampleReducer {
 public:
  /// `tokenizer` must outlive it. Throws Failure(kData) when the list that `syntax` ranks by is
  /// missing or another one.
  SampleReducer(const RunSpec& spec, const Tokenizer& tokenizer, const DataLibrary& library);

  /// Patches a sample keeps; 0: all of them.
  [[nodiscard]] int64_t kept_patches() const { return kept_patches_; }
  /// Writes their numbers, ascending.
  void Patches(int64_t sample, std::span<int64_t> kept) const;

  /// As Tokenizer::Encode, but of a caption that is too long, what the run keeps.
  [[nodiscard]] int64_t Encode(int64_t sample,
                               const std::string& caption,
                               std::span<int64_t> tokens) const;

 private:
  [[nodiscard]] int64_t EncodePart(int64_t sample,
                                   const std::string& caption,
                                   std::span<int64_t> tokens) const;

  TokenReductionSpec reduction_;
  int64_t seed_;
  int64_t side_;
  int64_t kept_patches_;
  const Tokenizer& tokenizer_;
  std::unique_ptr<const PartsOfSpeech> parts_of_speech_;  // null unless `syntax`
};

}  // namespace sweep
