#pragma once

#include <cstdint>
#include <span>

#include "trainer/image.h"
#include "trainer/random.h"

namespace sweep {

/// A rectangle of pixels.
struct PixelBox {
  int64_t left = 0;
  int64_t top = 0;
  int64_t width = 0;
  int64_t height = 0;
};

/// Resizes the part `source` of an image to `width` x `height` pixels and writes the part `window`
/// of the result, [channel][row][column]. Bicubic (Keys 1981, a = -0.5), widened when it shrinks so
/// that every source pixel counts: what PIL calls BICUBIC, rounding to bytes between the passes
/// included.
void ResizeBicubic(const Image& image,
                   const PixelBox& source,
                   int64_t width,
                   int64_t height,
                   const PixelBox& window,
                   std::span<uint8_t> pixels_CHW);

/// CLIP's transform for evaluation: the shorter side resized to `side` pixels, and the middle cut
/// out. Writes 3 * side * side bytes.
void ResizeAndCenterCrop(const Image& image, int64_t side, std::span<uint8_t> pixels_CSS);

/// CLIP's transform for training (Szegedy et al. 2015, as in torchvision): a random part of at
/// least a share `least_area` of the area, with sides in a ratio of 3/4 to 4/3, resized to a
/// square. Of ten draws the first that fits is taken, else the largest part in the middle with such
/// a ratio.
void RandomResizedCrop(const Image& image,
                       int64_t side,
                       double least_area,
                       Random& random,
                       std::span<uint8_t> pixels_CSS);

/// The part that RandomResizedCrop takes of an image of so many pixels.
[[nodiscard]] PixelBox RandomCropBox(int64_t width,
                                     int64_t height,
                                     double least_area,
                                     Random& random);

}  // namespace sweep
