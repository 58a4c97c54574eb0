#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/run_spec.h"
#include "trainer/data_library.h"

namespace sweep {

/// Training pairs by number: an image and its caption. Every call with the same number gives the
/// same pair, so data order and resume need no state.
class PairSource {
 public:
  virtual ~PairSource() = default;

  /// Writes image `pair` into `pixels` ([channel][row][column], 0 to 255) and returns its caption.
  /// Thread-safe.
  [[nodiscard]] virtual std::string Load(int64_t pair, std::span<uint8_t> pixels) const = 0;

  [[nodiscard]] virtual int64_t channels() const = 0;    ///< 1 (grey) or 3
  [[nodiscard]] virtual int64_t image_size() const = 0;  ///< square side in pixels
};

/// Opens the data a run trains on. Throws Failure(kData) when it is missing or not what its content
/// id says, Failure(kUsage) for options that cannot be.
[[nodiscard]] std::unique_ptr<PairSource> OpenPairSource(const RunSpec& spec, DataLibrary& library);

}  // namespace sweep
