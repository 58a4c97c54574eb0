#include "trainer/fashion_scenes.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/data_options.h"

namespace sweep {
namespace {

struct Noun {
  std::string_view article;
  std::string_view one;
  std::string_view many;
};
using Nouns = std::pair<Noun, Noun>;  // either is used, equally often

// Fashion-MNIST's ten classes in its own order, each with a second word for the same thing.
constexpr std::array<Nouns, 10> kNouns = {{
    {{"a", "t-shirt", "t-shirts"}, {"a", "tee", "tees"}},
    {{"", "trousers", "trousers"}, {"", "pants", "pants"}},
    {{"a", "pullover", "pullovers"}, {"a", "sweater", "sweaters"}},
    {{"a", "dress", "dresses"}, {"a", "gown", "gowns"}},
    {{"a", "coat", "coats"}, {"a", "jacket", "jackets"}},
    {{"a", "sandal", "sandals"}, {"a", "sandal", "sandals"}},
    {{"a", "shirt", "shirts"}, {"a", "blouse", "blouses"}},
    {{"a", "sneaker", "sneakers"}, {"a", "trainer", "trainers"}},
    {{"a", "bag", "bags"}, {"a", "handbag", "handbags"}},
    {{"a", "boot", "boots"}, {"a", "boot", "boots"}},
}};
constexpr std::array<std::array<std::string_view, 2>, 4> kPlaces = {
    {{"top-left", "upper-left"},
     {"top-right", "upper-right"},
     {"bottom-left", "lower-left"},
     {"bottom-right", "lower-right"}}};
constexpr std::array<std::string_view, 5> kNumbers = {"", "one", "two", "three", "four"};
constexpr std::array<std::string_view, 6> kSingleOpenings = {
    "", "a photo of", "a picture of", "this is", "an image of", "the photo of"};
static_assert(kSingleOpenings.size() >= kFashionLeastCaptions);
constexpr std::array<std::string_view, 3> kSeveralOpenings = {"", "photo of", "picture of"};

template <class T, size_t N>
const T& Pick(const std::array<T, N>& choices, Random& random) {
  return choices[static_cast<size_t>(random.Below(N))];
}

const Noun& PickNoun(size_t label, Random& random) {
  const Nouns& nouns = kNouns[label];
  return random.Below(2) == 0 ? nouns.first : nouns.second;
}

void AppendWord(std::string& text, std::string_view word) {
  if (word.empty()) return;
  if (!text.empty()) text += ' ';
  text += word;
}

// Fisher-Yates on the first `count` of `values`.
template <class T, size_t N>
void Shuffle(std::array<T, N>& values, int64_t count, Random& random) {
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(values[static_cast<size_t>(i)], values[static_cast<size_t>(random.Below(i + 1))]);
  }
}

// For each target pixel of one axis, the source pixels it covers and by how much.
std::vector<std::vector<std::pair<int64_t, double>>> Coverage(int64_t from, int64_t to) {
  std::vector<std::vector<std::pair<int64_t, double>>> coverage(static_cast<size_t>(to));
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  for (int64_t t = 0; t < to; ++t) {
    const double begin = static_cast<double>(t) * ratio;
    const double end = begin + ratio;
    for (auto s = static_cast<int64_t>(begin); s < from && static_cast<double>(s) < end; ++s) {
      const double covered =
          std::min(end, static_cast<double>(s + 1)) - std::max(begin, static_cast<double>(s));
      if (covered > 1e-9) coverage[static_cast<size_t>(t)].emplace_back(s, covered / ratio);
    }
  }
  return coverage;
}

}  // namespace

const std::array<std::string, 10>& FashionClassNames() {
  static const std::array<std::string, 10> names = [] {
    std::array<std::string, 10> result;
    for (size_t i = 0; i < result.size(); ++i) result[i] = kNouns[i].first.one;
    return result;
  }();
  return names;
}

std::vector<uint8_t> ResizeByArea(std::span<const uint8_t> source, int64_t from, int64_t to) {
  if (from == to) return {source.begin(), source.end()};
  const auto coverage = Coverage(from, to);
  const auto from_size = static_cast<size_t>(from);
  const size_t count = source.size() / (from_size * from_size);
  std::vector<uint8_t> resized;
  resized.reserve(count * static_cast<size_t>(to * to));
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* image = source.data() + i * from_size * from_size;
    for (const auto& rows : coverage) {
      for (const auto& columns : coverage) {
        double sum = 0;
        for (const auto& [row, row_share] : rows) {
          for (const auto& [column, column_share] : columns)
            sum += row_share * column_share * image[row * from + column];
        }
        resized.push_back(static_cast<uint8_t>(std::lround(sum)));
      }
    }
  }
  return resized;
}

SceneMaker::SceneMaker(const FashionItems& items, int64_t canvas)
    : items_(items),
      canvas_(canvas),
      whole_(ResizeByArea(items.pixels, FashionItems::kSide, canvas)),
      quarter_(ResizeByArea(items.pixels, FashionItems::kSide, canvas / 2)) {}

Scene SceneMaker::Draw(Random& random, const SceneStyle& style) const {
  return Draw(random, style.min_items + random.Below(style.max_items - style.min_items + 1));
}

Scene SceneMaker::Draw(Random& random, int64_t count) const {
  Scene scene;
  scene.count = count;
  std::array<int64_t, 4> quarters = {0, 1, 2, 3};
  Shuffle(quarters, 4, random);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    scene.placed[i] = {random.Below(items_.count()), quarters[i]};
  }
  return scene;
}

void SceneMaker::Paint(const Scene& scene, std::span<uint8_t> pixels) const {
  const auto side = static_cast<size_t>(canvas_);
  if (scene.count == 1) {
    const auto item = static_cast<size_t>(scene.placed[0].item);
    std::copy_n(whole_.data() + item * side * side, side * side, pixels.data());
    return;
  }
  const size_t half = side / 2;
  std::fill(pixels.begin(), pixels.end(), uint8_t{0});
  for (size_t i = 0; i < static_cast<size_t>(scene.count); ++i) {
    const auto quarter = static_cast<size_t>(scene.placed[i].quarter);
    const uint8_t* from = quarter_.data() + static_cast<size_t>(scene.placed[i].item) * half * half;
    uint8_t* to = pixels.data() + (quarter / 2) * half * side + (quarter % 2) * half;
    for (size_t row = 0; row < half; ++row) std::copy_n(from + row * half, half, to + row * side);
  }
}

std::string SceneMaker::Describe(const Scene& scene,
                                 Random& random,
                                 const SceneStyle& style) const {
  const bool counted = random.Unit() < style.counted_share;
  if (scene.count == 1) {
    const int64_t item = scene.placed[0].item;
    return DescribeSingle(item, random.Below(SingleCaptions(item)));
  }
  return counted ? DescribeNumbers(scene, random) : DescribePlaces(scene, random);
}

int64_t SceneMaker::SingleCaptions(int64_t item) const {
  const Nouns& nouns = kNouns[Label(item)];
  const int64_t words = nouns.first.one == nouns.second.one ? 1 : 2;
  return words * static_cast<int64_t>(kSingleOpenings.size());
}

std::string SceneMaker::DescribeSingle(int64_t item, int64_t caption) const {
  const auto number = static_cast<size_t>(caption);
  std::string text(kSingleOpenings[number % kSingleOpenings.size()]);
  const Nouns& nouns = kNouns[Label(item)];
  const Noun& noun = number < kSingleOpenings.size() ? nouns.first : nouns.second;
  AppendWord(text, noun.article);
  AppendWord(text, noun.one);
  return text;
}

std::string SceneMaker::DescribePlaces(const Scene& scene, Random& random) const {
  std::string text(Pick(kSeveralOpenings, random));
  auto placed = scene.placed;
  Shuffle(placed, scene.count, random);
  const bool joined = random.Below(2) == 0;
  for (size_t i = 0; i < static_cast<size_t>(scene.count); ++i) {
    if (joined && i + 1 == static_cast<size_t>(scene.count)) AppendWord(text, "and");
    AppendWord(text, PickNoun(Label(placed[i].item), random).one);
    AppendWord(text, Pick(kPlaces[static_cast<size_t>(placed[i].quarter)], random));
  }
  return text;
}

std::string SceneMaker::DescribeNumbers(const Scene& scene, Random& random) const {
  std::array<size_t, 10> numbers{};
  for (size_t i = 0; i < static_cast<size_t>(scene.count); ++i)
    ++numbers[Label(scene.placed[i].item)];
  std::array<size_t, 10> labels{};
  int64_t distinct = 0;
  for (size_t label = 0; label < numbers.size(); ++label) {
    if (numbers[label] > 0) labels[static_cast<size_t>(distinct++)] = label;
  }
  Shuffle(labels, distinct, random);
  std::string text(Pick(kSeveralOpenings, random));
  for (size_t i = 0; i < static_cast<size_t>(distinct); ++i) {
    const size_t number = numbers[labels[i]];
    const Noun& noun = PickNoun(labels[i], random);
    if (i > 0) AppendWord(text, "and");
    AppendWord(text, kNumbers[number]);
    AppendWord(text, number == 1 ? noun.one : noun.many);
  }
  return text;
}

}  // namespace sweep
