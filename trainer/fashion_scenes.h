#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trainer/fashion_mnist.h"
#include "trainer/random.h"

namespace sweep {

/// One to four items: a single one fills the canvas, several stand in different quarters of it.
struct Scene {
  struct Placed {
    int64_t item = 0;     ///< index into FashionItems
    int64_t quarter = 0;  ///< 0 top left, 1 top right, 2 bottom left, 3 bottom right
  };
  std::array<Placed, 4> placed;
  int64_t count = 0;
};

/// How many items scenes have and how captions speak of them.
struct SceneStyle {
  int64_t min_items = 1;
  int64_t max_items = 4;
  double counted_share = 0.25;
};

/// Composes scenes of one part of Fashion-MNIST and describes them. All of it is a function of the
/// random stream handed in. `items` must outlive it.
class SceneMaker {
 public:
  /// `canvas` is the side of the square image in pixels.
  SceneMaker(const FashionItems& items, int64_t canvas);

  [[nodiscard]] Scene Draw(Random& random, const SceneStyle& style) const;
  /// A scene of so many items.
  [[nodiscard]] Scene Draw(Random& random, int64_t count) const;

  /// Grey pixels of the scene, canvas * canvas bytes.
  void Paint(const Scene& scene, std::span<uint8_t> pixels) const;

  /// A sentence about the scene: names and places ("coat top-left and bag lower-right"), or, for a
  /// share of several-item scenes, names and numbers ("two coats and one bag").
  [[nodiscard]] std::string Describe(const Scene& scene,
                                     Random& random,
                                     const SceneStyle& style) const;

  /// How many captions a single `item` has, at least kFashionLeastCaptions, and one of them.
  [[nodiscard]] int64_t SingleCaptions(int64_t item) const;
  [[nodiscard]] std::string DescribeSingle(int64_t item, int64_t caption) const;

  [[nodiscard]] int64_t canvas() const { return canvas_; }
  [[nodiscard]] int64_t item_count() const { return items_.count(); }

 private:
  [[nodiscard]] std::string DescribePlaces(const Scene& scene, Random& random) const;
  [[nodiscard]] std::string DescribeNumbers(const Scene& scene, Random& random) const;
  [[nodiscard]] size_t Label(int64_t item) const {
    return items_.labels[static_cast<size_t>(item)];
  }

  const FashionItems& items_;
  int64_t canvas_;
  std::vector<uint8_t> whole_;    ///< every item at canvas x canvas
  std::vector<uint8_t> quarter_;  ///< every item at canvas/2 x canvas/2
};

/// The ten class names, by label, as zero-shot classification uses them.
[[nodiscard]] const std::array<std::string, 10>& FashionClassNames();

/// Mean over the source pixels that each target pixel covers (with fractions), rounded to nearest;
/// exact for whole ratios. `source` is [count][from][from], the result [count][to][to].
[[nodiscard]] std::vector<uint8_t> ResizeByArea(std::span<const uint8_t> source,
                                                int64_t from,
                                                int64_t to);

}  // namespace sweep
