#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sweep {

/// One part of Fashion-MNIST: 28 x 28 grey photographs of clothing on black, ten classes.
struct FashionItems {
  static constexpr int64_t kSide = 28;  ///< pixels
  std::vector<uint8_t> pixels;          ///< [item][row][column], 255 = white
  std::vector<uint8_t> labels;          ///< [item], 0 to 9
  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(labels.size()); }
};

struct FashionMnist {
  FashionItems train;  ///< 60,000
  FashionItems test;   ///< 10,000
};

/// Reads the four IDX files of `folder`, plain or gzip-compressed (`.gz`), and verifies them.
/// `content` is the content id they must have: the first 32 hexadecimal digits of the SHA-256 over
/// the four SHA-256 (each as 64 hexadecimal digits) of the uncompressed files, in the order
/// train-images, train-labels, t10k-images, t10k-labels. Throws Failure(kData), with the package to
/// install, when a file is missing or is not what was expected.
[[nodiscard]] FashionMnist LoadFashionMnist(const std::filesystem::path& folder,
                                            const std::string& content);

}  // namespace sweep
