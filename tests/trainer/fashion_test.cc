#include <ATen/ops/equal.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <set>

#include "core/data_options.h"
#include "core/failure.h"
#include "tests/support/sample_specs.h"
#include "tests/support/temporary_directory.h"
#include "tests/trainer/small_data.h"
#include "trainer/batch_loader.h"
#include "trainer/evaluation_data.h"
#include "trainer/fashion_scenes.h"
#include "trainer/training_data.h"

namespace sweep {
namespace {

struct Pair {
  std::vector<uint8_t> pixels;
  std::string caption;
  bool operator==(const Pair&) const = default;
};

class SmallScenes {
 public:
  explicit SmallScenes(const Json& options = Json::object())
      : data_(folder_.path()), library(Locations()) {
    spec = SampleRunSpec();
    spec.data.content = data_.content();
    spec.data.options = options;
    source = OpenPairSource(spec, library);
  }
  [[nodiscard]] Pair Load(int64_t index) const {
    Pair pair{std::vector<uint8_t>(28 * 28), ""};
    pair.caption = source->Load(index, Random(0), pair.pixels);
    return pair;
  }
  [[nodiscard]] std::string content() const { return data_.content(); }

 private:
  [[nodiscard]] std::map<std::string, std::string> Locations() const {
    return {{data_.content(), data_.folder().string()},
            {ContentIdOfFile(SceneVocabulary()), SceneVocabulary().string()}};
  }
  TemporaryDirectory folder_;
  SmallFashionData data_;

 public:
  DataLibrary library;
  RunSpec spec;
  std::unique_ptr<PairSource> source;
};

}  // namespace

TEST_CASE("A scene and its caption are functions of seed and index") {
  const SmallScenes a;
  const SmallScenes b;
  const SmallScenes other(Json{{"seed", 1}});
  int different = 0;
  for (int64_t i = 0; i < 50; ++i) {
    CHECK(a.Load(i) == b.Load(i));
    different += static_cast<int>(!(a.Load(i) == other.Load(i)));
  }
  CHECK(different == 50);
}

TEST_CASE("Pairs are distinct until the single items have had all their captions") {
  const SmallScenes singles(Json{{"max_items", 1}});
  std::set<std::string> pairs;
  const int64_t count = 200 * kFashionLeastCaptions;  // the small data has 200 items
  for (int64_t i = 0; i < count; ++i) {
    const Pair pair = singles.Load(i);
    pairs.insert(std::string(pair.pixels.begin(), pair.pixels.end()) + pair.caption);
  }
  CHECK(pairs.size() == static_cast<size_t>(count));
  std::set<std::string> images;
  for (int64_t i = 0; i < 200; ++i) {
    const Pair pair = singles.Load(i);
    images.emplace(pair.pixels.begin(), pair.pixels.end());
  }
  CHECK(images.size() == 200);
}

TEST_CASE("A smaller data_scale uses the first pairs of a larger one, each once an epoch") {
  for (const int64_t scale : {40, 100}) {
    std::multiset<int64_t> first_epoch;
    std::multiset<int64_t> second_epoch;
    const ShuffledOrder order(scale, 5);
    for (int64_t s = 0; s < scale; ++s) {
      first_epoch.insert(order.PairOf(s));
      second_epoch.insert(order.PairOf(scale + s));
    }
    CHECK(first_epoch == second_epoch);
    CHECK(*first_epoch.rbegin() == scale - 1);
    CHECK(std::set<int64_t>(first_epoch.begin(), first_epoch.end()).size() ==
          static_cast<size_t>(scale));
  }
  const ShuffledOrder order(40, 5);
  std::vector<int64_t> first;
  std::vector<int64_t> second;
  for (int64_t s = 0; s < 40; ++s) {
    first.push_back(order.PairOf(s));
    second.push_back(order.PairOf(40 + s));
  }
  CHECK(first != second);
}

TEST_CASE("Mismatch replaces that share of the captions and no image") {
  const SmallScenes clean;
  const SmallScenes noisy(Json{{"mismatch", 0.5}});
  int changed = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    CHECK(clean.Load(i).pixels == noisy.Load(i).pixels);
    changed += static_cast<int>(clean.Load(i).caption != noisy.Load(i).caption);
  }
  CHECK(changed == Approx(500).margin(60));
}

TEST_CASE("Scenes hold one to four items, in quarters of their own") {
  SmallScenes scenes;
  const auto data = scenes.library.OpenFashionMnist(scenes.content());
  const SceneMaker maker(data->train, 28);
  std::array<int, 5> counts{};
  for (int64_t i = 0; i < 400; ++i) {
    Random random(i);
    const Scene scene = maker.Draw(random, SceneStyle());
    ++counts[static_cast<size_t>(scene.count)];
    std::set<int64_t> quarters;
    for (int64_t k = 0; k < scene.count; ++k)
      quarters.insert(scene.placed[static_cast<size_t>(k)].quarter);
    CHECK(static_cast<int64_t>(quarters.size()) == scene.count);
  }
  for (size_t count = 1; count <= 4; ++count) CHECK(counts[count] == Approx(100).margin(35));
}

TEST_CASE("A painted quarter is the item at half size, the rest is black") {
  SmallScenes scenes;
  const auto data = scenes.library.OpenFashionMnist(scenes.content());
  const SceneMaker maker(data->train, 28);
  Scene scene;
  scene.count = 2;
  scene.placed[0] = {9, 0};
  scene.placed[1] = {8, 3};
  std::vector<uint8_t> pixels(28 * 28);
  maker.Paint(scene, pixels);
  const uint8_t* item = data->train.pixels.data() + 9 * 28 * 28;
  const double mean = (item[0] + item[1] + item[28] + item[29]) / 4.0;
  CHECK(pixels[0] == Approx(mean).margin(0.51));
  CHECK(pixels[13] > 0);
  CHECK(pixels[14] == 0);
  CHECK(pixels[27 * 28 + 27] > 0);
  CHECK(pixels[27 * 28] == 0);
}

TEST_CASE("Captions name every item and, without counting, where it is") {
  SmallScenes scenes;
  const auto data = scenes.library.OpenFashionMnist(scenes.content());
  const SceneMaker maker(data->train, 28);
  Scene scene;
  scene.count = 3;
  scene.placed[0] = {4, 0};  // coat
  scene.placed[1] = {4, 3};  // coat
  scene.placed[2] = {8, 2};  // bag
  for (int64_t i = 0; i < 20; ++i) {
    Random random(i);
    const std::string places = maker.Describe(scene, random, {1, 4, 0.0});
    CHECK_THAT(places, Catch::Contains("coat") || Catch::Contains("jacket"));
    CHECK_THAT(places, Catch::Contains("bag"));
    CHECK_THAT(places, Catch::Contains("bottom-left") || Catch::Contains("lower-left"));
    Random again(i);
    const std::string numbers = maker.Describe(scene, again, {1, 4, 1.0});
    CHECK_THAT(numbers, Catch::Contains("two coats") || Catch::Contains("two jackets"));
    CHECK_THAT(numbers, Catch::Contains("one bag") || Catch::Contains("one handbag"));
  }
}

TEST_CASE("Every word of every caption and prompt is in the vocabulary and fits the context") {
  SmallScenes scenes;
  const TokenizerSpec word{"word", ContentIdOfFile(SceneVocabulary())};
  const auto tokenizer = LoadTokenizer(word, SceneVocabulary());
  std::vector<std::string> texts;
  for (int64_t i = 0; i < 3000; ++i) texts.push_back(scenes.Load(i).caption);
  const EvaluationSpec items{
      "zeroshot_classification", "fashion_scenes", scenes.content(), 50, Json::object()};
  for (const auto& prompts : OpenClassification(items, 28, scenes.library).prompts)
    texts.insert(texts.end(), prompts.begin(), prompts.end());
  for (const std::string& text : texts) {
    std::vector<int64_t> tokens(32);
    const int64_t length = tokenizer->Encode(text, tokens);
    INFO(text);
    CHECK(length <= 16);
    CHECK(std::count(tokens.begin(), tokens.end(), 1) == 0);
  }
}

TEST_CASE("Evaluations use test items only, and training train items only") {
  // The small data's train and test images differ in every pixel row, so equal pixels would show.
  SmallScenes scenes(Json{{"max_items", 1}});
  const EvaluationSpec items{
      "zeroshot_classification", "fashion_scenes", scenes.content(), 50, Json::object()};
  const ClassificationData test = OpenClassification(items, 28, scenes.library);
  const auto data = scenes.library.OpenFashionMnist(scenes.content());
  CHECK(test.images.pixels == data->test.pixels);
  std::set<std::string> trained;
  for (int64_t i = 0; i < 2000; ++i) {
    const Pair pair = scenes.Load(i);
    trained.emplace(pair.pixels.begin(), pair.pixels.end());
  }
  for (int64_t i = 0; i < 50; ++i) {
    const auto begin = test.images.pixels.begin() + i * 28 * 28;
    CHECK_FALSE(trained.contains(std::string(begin, begin + 28 * 28)));
  }
}

TEST_CASE("Retrieval data has its captions in the order of its images") {
  SmallScenes scenes;
  const EvaluationSpec spec{
      "zeroshot_retrieval", "fashion_scenes", scenes.content(), 30, {{"captions_per_image", 3}}};
  const RetrievalData data = OpenRetrieval(spec, 28, scenes.library);
  CHECK(data.captions.size() == 90);
  CHECK(data.images.pixels.size() == 30U * 28 * 28);
  CHECK(OpenRetrieval(spec, 28, scenes.library).captions == data.captions);
}

TEST_CASE("Sizes beyond the data are refused") {
  SmallScenes scenes;
  const EvaluationSpec spec{
      "zeroshot_classification", "fashion_scenes", scenes.content(), 51, Json::object()};
  CHECK_THROWS_WITH(OpenClassification(spec, 28, scenes.library), Catch::Contains("at most 50"));
  scenes.spec.data.data_scale = kFashionScenesPairs + 1;
  CHECK_THROWS_WITH(OpenPairSource(scenes.spec, scenes.library), Catch::Contains("data_scale"));
  scenes.spec.data.options = {{"max_items", 1}};
  scenes.spec.data.data_scale = 360'001;
  CHECK_THROWS_WITH(OpenPairSource(scenes.spec, scenes.library),
                    Catch::Contains("expected at most 360000, the distinct pairs"));
}

BatchLoader::Options OptionsFrom(int64_t first_sample, int64_t threads) {
  return {.batch_size = 8,
          .context_length = 16,
          .first_sample = first_sample,
          .end_sample = 48,
          .threads = threads};
}

TEST_CASE("The batch loader delivers every sample in order, from any place") {
  const SmallScenes scenes;
  const TokenizerSpec word{"word", ContentIdOfFile(SceneVocabulary())};
  const auto tokenizer = LoadTokenizer(word, SceneVocabulary());
  const SampleReducer reducer(scenes.spec, *tokenizer, scenes.library);
  const ShuffledOrder order(20, 1);
  BatchLoader whole(*scenes.source, order, reducer, OptionsFrom(0, 1));
  BatchLoader tail(*scenes.source, order, reducer, OptionsFrom(32, 3));
  Batch batch;
  Batch expected;
  for (int64_t first = 0; first < 48; first += 8) {
    whole.Next(batch);
    const auto* const pixels = batch.images_BCSS.const_data_ptr<uint8_t>();
    CHECK(std::equal(pixels, pixels + 28 * 28, scenes.Load(order.PairOf(first)).pixels.begin()));
    if (first < 32) continue;
    tail.Next(expected);
    CHECK(at::equal(batch.images_BCSS, expected.images_BCSS));
    CHECK(at::equal(batch.tokens_BT, expected.tokens_BT));
  }
}

TEST_CASE("Batches that are sent ahead are the same, also after a new start") {
  SmallScenes scenes;
  scenes.spec.data.data_scale = 20;
  scenes.spec.model.text.vocab_size = 64;
  scenes.spec.tokenizer = {"word", ContentIdOfFile(SceneVocabulary())};
  TrainingData plain(scenes.spec, scenes.library), ahead(scenes.spec, scenes.library);
  for (const int64_t first : {0, 16}) {
    plain.Start(OptionsFrom(first, 1));
    ahead.Start(OptionsFrom(first, 2));  // what is on its way is dropped
    for (int64_t sample = first; sample < 32; sample += 8) {
      const auto expected = plain.Next();
      const auto batch = ahead.Next();
      CHECK(at::equal(batch->images_BCSS, expected->images_BCSS));
      CHECK(at::equal(batch->tokens_BT, expected->tokens_BT));
      ahead.Prefetch();
      ahead.Prefetch();
    }
  }
}

TEST_CASE("Whoever waits for a batch that does not come can give up, and have it later") {
  class Blocked : public PairSource {
   public:
    std::string Load(int64_t, Random, std::span<uint8_t>) const override {
      go.wait(false);
      return "";
    }
    int64_t channels() const override { return 1; }
    int64_t image_size() const override { return 1; }
    mutable std::atomic<bool> go = false;
  };
  const Blocked source;
  const SmallScenes scenes;
  const TokenizerSpec word{"word", ContentIdOfFile(SceneVocabulary())};
  const auto tokenizer = LoadTokenizer(word, SceneVocabulary());
  const SampleReducer reducer(scenes.spec, *tokenizer, scenes.library);
  const ShuffledOrder order(20, 1);
  std::atomic<int> asked = 0;
  BatchLoader::Options options = OptionsFrom(0, 1);
  options.give_up = [&](double waited_seconds) { return ++asked == 3 && waited_seconds > 0; };
  BatchLoader loader(source, order, reducer, options);
  Batch batch;
  CHECK_FALSE(loader.Next(batch));
  CHECK(asked == 3);
  CHECK_FALSE(loader.NextIfReady(batch));
  source.go = true;
  source.go.notify_all();
  CHECK(loader.Next(batch));
  CHECK(batch.tokens_BT.size(0) == 8);
}

TEST_CASE("ResizeByArea averages what a pixel covers") {
  const std::vector<uint8_t> image = {0, 10, 20, 30, 40, 50, 60, 70, 80};
  CHECK(ResizeByArea(image, 3, 1) == std::vector<uint8_t>{40});
  CHECK(ResizeByArea(image, 3, 3) == image);
  // 3 -> 2: each target covers 1.5 x 1.5 source pixels with weights 1, 1/2 each way.
  const double corner = (0 + 10 * 0.5 + 30 * 0.5 + 40 * 0.25) / 2.25;
  CHECK(ResizeByArea(image, 3, 2)[0] == Approx(corner).margin(0.51));
}

TEST_CASE("The installed Fashion-MNIST has the content id of the shipped definitions") {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) {
    WARN("dataset-fashion-mnist is not installed: skipped");
    return;
  }
  const std::string definitions = std::string(SWEEP_SOURCE_DIR) + "/sweeps/";
  const Json definition = ReadJsonFile(definitions + "datasets/fashion_scenes.json");
  const FashionMnist data = LoadFashionMnist(folder, definition.at("content"));
  CHECK(data.train.count() == 60000);
  CHECK(data.test.count() == 10000);
  CHECK(data.train.pixels.size() == 60000U * 28 * 28);
}

TEST_CASE("Damaged or missing files are data failures that name the package") {
  const TemporaryDirectory folder;
  const SmallFashionData data(folder.path());
  std::filesystem::resize_file(folder.path() / "t10k-labels-idx1-ubyte", 20);
  CHECK_THROWS_WITH(
      LoadFashionMnist(folder.path(), data.content()),
      Catch::Contains("content id") && Catch::Contains("apt-get install dataset-fashion-mnist"));
  std::filesystem::remove(folder.path() / "t10k-labels-idx1-ubyte");
  CHECK_THROWS_WITH(LoadFashionMnist(folder.path(), data.content()),
                    Catch::Contains("t10k-labels"));
}

}  // namespace sweep
