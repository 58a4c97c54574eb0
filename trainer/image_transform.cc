#include "trainer/image_transform.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace sweep {
namespace {

constexpr int64_t kChannels = 3;
constexpr double kLeastRatio = 3.0 / 4.0, kMostRatio = 4.0 / 3.0;

// Weights are whole multiples of 2^-22, so that sums over bytes stay in 32 bits.
constexpr int kWeightBits = 22;

double CubicWeight(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

// The source pixels that one target pixel is the weighted sum of.
struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

// For target pixels first to first + count - 1 of an axis resized from `from` to `to` pixels.
std::vector<Taps> MakeTaps(int64_t from, int64_t to, int64_t first, int64_t count) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);
  const double support = 2 * stretch;
  std::vector<Taps> all;
  std::vector<double> weights;
  for (int64_t i = first; i < first + count; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto begin = std::max<int64_t>(0, std::lround(center - support));
    const auto end = std::min<int64_t>(from, std::lround(center + support));
    weights.clear();
    double sum = 0;
    for (int64_t x = begin; x < end; ++x) {
      weights.push_back(CubicWeight((static_cast<double>(x) - center + 0.5) / stretch));
      sum += weights.back();
    }
    Taps& taps = all.emplace_back();
    taps.first = begin;
    for (const double weight : weights)
      taps.weights.push_back(static_cast<int32_t>(std::lround(weight / sum * (1 << kWeightBits))));
  }
  return all;
}

uint8_t ToByte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// One row of interleaved pixels to one row of each plane.
void ResizeRow(const uint8_t* row_WC,
               const std::vector<Taps>& columns,
               uint8_t* out,
               int64_t plane) {
  for (size_t x = 0; x < columns.size(); ++x) {
    const uint8_t* pixel = row_WC + kChannels * columns[x].first;
    int32_t red = kHalf;
    int32_t green = kHalf;
    int32_t blue = kHalf;
    for (const int32_t weight : columns[x].weights) {
      red += weight * pixel[0];
      green += weight * pixel[1];
      blue += weight * pixel[2];
      pixel += kChannels;
    }
    out[x] = ToByte(red);
    out[x + static_cast<size_t>(plane)] = ToByte(green);
    out[x + static_cast<size_t>(2 * plane)] = ToByte(blue);
  }
}

// One target row of a plane from the rows above one another in `in`.
void MixRows(const uint8_t* in,
             int64_t width,
             const std::vector<int32_t>& weights,
             std::vector<int32_t>& sums,
             uint8_t* out) {
  std::fill(sums.begin(), sums.end(), kHalf);
  for (const int32_t weight : weights) {
    for (int64_t x = 0; x < width; ++x) sums[static_cast<size_t>(x)] += weight * in[x];
    in += width;
  }
  for (int64_t x = 0; x < width; ++x) out[x] = ToByte(sums[static_cast<size_t>(x)]);
}

PixelBox WholeOf(int64_t width, int64_t height) {
  return {0, 0, width, height};
}

}  // namespace

void ResizeBicubic(const Image& image,
                   const PixelBox& source,
                   int64_t width,
                   int64_t height,
                   const PixelBox& window,
                   std::span<uint8_t> pixels_CHW) {
  const auto columns = MakeTaps(source.width, width, window.left, window.width);
  const auto rows = MakeTaps(source.height, height, window.top, window.height);
  const int64_t first_row = rows.front().first;
  const int64_t row_count =
      rows.back().first + static_cast<int64_t>(rows.back().weights.size()) - first_row;
  const int64_t plane = row_count * window.width;
  std::vector<uint8_t> narrowed(static_cast<size_t>(kChannels * plane));
  for (int64_t y = 0; y < row_count; ++y) {
    const int64_t at = (source.top + first_row + y) * image.width + source.left;
    ResizeRow(
        image.rgb_HWC.data() + kChannels * at, columns, narrowed.data() + y * window.width, plane);
  }
  std::vector<int32_t> sums(static_cast<size_t>(window.width));
  uint8_t* out = pixels_CHW.data();
  for (int64_t c = 0; c < kChannels; ++c) {
    for (const Taps& row : rows) {
      const uint8_t* in = narrowed.data() + c * plane + (row.first - first_row) * window.width;
      MixRows(in, window.width, row.weights, sums, out);
      out += window.width;
    }
  }
}

void ResizeAndCenterCrop(const Image& image, int64_t side, std::span<uint8_t> pixels_CSS) {
  const int64_t shorter = std::min(image.width, image.height);
  // The longer side is cut down to a whole number, the margins rounded to even, as torchvision
  // does.
  const int64_t width = side * image.width / shorter;
  const int64_t height = side * image.height / shorter;
  const auto margin = [side](int64_t length) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(length - side) / 2));
  };
  ResizeBicubic(image,
                WholeOf(image.width, image.height),
                width,
                height,
                {margin(width), margin(height), side, side},
                pixels_CSS);
}

PixelBox RandomCropBox(int64_t width, int64_t height, double least_area, Random& random) {
  const auto area = static_cast<double>(width * height);
  for (int draw = 0; draw < 10; ++draw) {
    const double part = area * (least_area + (1 - least_area) * random.Unit());
    const double ratio = kLeastRatio * std::pow(kMostRatio / kLeastRatio, random.Unit());
    const int64_t w = std::lround(std::sqrt(part * ratio));
    const int64_t h = std::lround(std::sqrt(part / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const int64_t top = random.Below(height - h + 1);
    return {random.Below(width - w + 1), top, w, h};
  }
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  PixelBox box = WholeOf(width, height);
  if (ratio < kLeastRatio) box.height = std::lround(static_cast<double>(width) / kLeastRatio);
  if (ratio > kMostRatio) box.width = std::lround(static_cast<double>(height) * kMostRatio);
  box.left = (width - box.width) / 2;
  box.top = (height - box.height) / 2;
  return box;
}

void RandomResizedCrop(const Image& image,
                       int64_t side,
                       double least_area,
                       Random& random,
                       std::span<uint8_t> pixels_CSS) {
  const PixelBox box = RandomCropBox(image.width, image.height, least_area, random);
  ResizeBicubic(image, box, side, side, WholeOf(side, side), pixels_CSS);
}

}  // namespace sweep
