#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/run_spec.h"
#include "trainer/data_library.h"
#include "trainer/random.h"
#include "trainer/sample_order.h"

namespace sweep {

/// A pair whose image is damaged.
struct UnusablePair {
  std::string name;  ///< file and place
  std::string problem;
};

/// How many unusable images are borne among so many pairs, a hundredth and at least ten: more is no
/// accident.
[[nodiscard]] int64_t MostUnusable(int64_t pairs);

/// Training pairs by number: an image and its caption. Every call with the same number gives the
/// same pair, so data order and resume need no state.
class PairSource {
 public:
  virtual ~PairSource() = default;

  /// Writes image `pair` into `pixels` ([channel][row][column], 0 to 255) and returns its caption.
  /// Where images are augmented, `augmentation` decides how. Thread-safe.
  [[nodiscard]] virtual std::string Load(int64_t pair,
                                         Random augmentation,
                                         std::span<uint8_t> pixels) const = 0;

  /// Says that `pair` will be loaded soon: a source on a disk begins to read. Thread-safe.
  virtual void Announce(int64_t /*pair*/) const {}

  /// Pairs met since the last call, each once, that could not be used and were replaced by others.
  [[nodiscard]] virtual std::vector<UnusablePair> TakeUnusable() const { return {}; }

  [[nodiscard]] virtual int64_t channels() const = 0;    ///< 1 (grey) or 3
  [[nodiscard]] virtual int64_t image_size() const = 0;  ///< square side in pixels
};

/// Opens the data a run trains on. Throws Failure(kData) when it is missing or not what its content
/// id says, Failure(kUsage) for options that cannot be.
[[nodiscard]] std::unique_ptr<PairSource> OpenPairSource(const RunSpec& spec, DataLibrary& library);

/// The order in which a run sees the pairs of its source. Throws as OpenPairSource does.
[[nodiscard]] std::unique_ptr<SampleOrder> OpenSampleOrder(const RunSpec& spec,
                                                           DataLibrary& library);

}  // namespace sweep
