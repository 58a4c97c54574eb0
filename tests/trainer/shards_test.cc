#include <ATen/ops/equal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "core/data_options.h"
#include "core/failure.h"
#include "core/files.h"
#include "tests/support/sample_specs.h"
#include "tests/support/temporary_directory.h"
#include "tests/trainer/golden_folder.h"
#include "tests/trainer/shard_files.h"
#include "tests/trainer/small_data.h"
#include "trainer/batch_loader.h"
#include "trainer/evaluation_data.h"
#include "trainer/image.h"
#include "trainer/shard_pairs.h"
#include "trainer/shard_set.h"

namespace sweep {
namespace {

constexpr int64_t kSide = 16;

struct Member {
  std::string name, content;
};

fs::path WriteShard(const fs::path& path, const std::vector<Member>& members) {
  std::string archive;
  for (const auto& [name, content] : members) AppendTarMember(name, content, archive);
  AppendTarEnd(archive);
  WriteFileAtomic(path, archive);
  return path;
}

// Shards of real pictures, indexed: caption "s.i" is sample i of shard s. Those of `bad` have an
// image that is none.
class SmallShards {
 public:
  explicit SmallShards(const std::vector<int64_t>& sizes,
                       size_t shards_a_source = 100,
                       const std::set<std::string>& bad = {}) {
    IndexShardsOptions options;
    for (size_t s = 0; s < sizes.size(); ++s) {
      std::vector<Member> members;
      for (int64_t i = 0; i < sizes[s]; ++i) {
        const std::string caption = std::to_string(s) + "." + std::to_string(i);
        const std::string key = std::to_string(i);
        members.push_back({key + ".jpg", bad.contains(caption) ? "no image" : PictureFile()});
        members.push_back({key + ".txt", caption + "\n"});
        members.push_back({key + ".cls", std::to_string(i % 3)});
      }
      const fs::path shard = WriteShard(folder_.path() / (std::to_string(s) + ".tar"), members);
      if (s % shards_a_source == 0) options.sources.emplace_back();
      options.sources.back() += (options.sources.back().empty() ? "" : "::") + shard.string();
    }
    options.output = folder_.path() / "index";
    options.classes = {"cat", "dog", "owl"};
    options.templates = {"a {}", "{}!"};
    content = ContentIdOf(IndexShards(options, [](const std::string&) {}));
    spec = SampleRunSpec();
    spec.data = {kWebdataset, content, 0, Json::object()};
    for (const int64_t size : sizes) spec.data.data_scale += size;
    spec.model.vision.image_size = kSide;
  }
  [[nodiscard]] DataLibrary Library() const {
    return DataLibrary(
        std::map<std::string, std::string>{{content, (folder_.path() / "index").string()}}, 2);
  }
  [[nodiscard]] std::unique_ptr<PairSource> Source() const {
    DataLibrary library = Library();
    return OpenPairSource(spec, library);
  }
  [[nodiscard]] std::unique_ptr<SampleOrder> Order() const {
    DataLibrary library = Library();
    return OpenSampleOrder(spec, library);
  }
  // Captions of the run's samples first to first + count - 1.
  [[nodiscard]] Texts Run(int64_t first, int64_t count) const {
    const auto source = Source();
    const auto order = Order();
    Texts captions;
    std::vector<uint8_t> pixels(3 * kSide * kSide);
    for (int64_t sample = first; sample < first + count; ++sample)
      captions.push_back(source->Load(order->PairOf(sample), Random(sample), pixels));
    return captions;
  }
  [[nodiscard]] const fs::path& folder() const { return folder_.path(); }

 private:
  TemporaryDirectory folder_;

 public:
  std::string content;
  RunSpec spec;
};

std::set<std::string> SetOf(const Texts& texts) {
  return {texts.begin(), texts.end()};
}

EvaluationSpec Evaluation(const SmallShards& shards, const char* task, int64_t size, Json options) {
  return {task, kWebdataset, shards.content, size, std::move(options)};
}

}  // namespace

TEST_CASE("Braces expand as in a shell") {
  CHECK(ExpandBraces("a{0..2}.tar") == Texts{"a0.tar", "a1.tar", "a2.tar"});
  CHECK(ExpandBraces("{098..101}") == Texts{"098", "099", "100", "101"});
  CHECK(ExpandBraces("{a,b{1,2}}x{0..1}") == Texts{"ax0", "ax1", "b1x0", "b1x1", "b2x0", "b2x1"});
  CHECK(ExpandBraces("plain{}{x}{3..1}{") == Texts{"plain{}{x}{3..1}{"});
}

TEST_CASE("Shards in three tar formats give the samples that webdataset gives", "[shard_golden]") {
  const fs::path folder = GoldenFolder() / "shards";
  const Json golden = ReadJsonFile((folder / "samples.json").string());
  REQUIRE(golden.size() == 3);
  for (const auto& [format, captions] : golden.items()) {
    CAPTURE(format);
    CHECK(Captions(folder / (format + ".tar")) == captions.get<Texts>());
  }
}

TEST_CASE("A shard cut off anywhere keeps the samples that are whole and says where it ends") {
  const TemporaryDirectory folder;
  const auto whole = WriteShard(
      folder.path() / "whole.tar",
      {{"a.jpg", PictureFile()}, {"a.txt", "one"}, {"b.jpg", PictureFile()}, {"b.txt", "two"}});
  const std::string bytes = ReadFile(whole);
  const size_t end_of_b = bytes.size() - 1024;
  for (size_t size = 0; size < end_of_b; size += 256) {
    WriteFileAtomic(folder.path() / "cut.tar", bytes.substr(0, size));
    Texts warnings;
    const Texts captions = Captions(folder.path() / "cut.tar", &warnings);
    // A caption of three bytes is there before its block is full.
    const size_t filled = size + 509;
    CHECK(captions.size() == (filled >= end_of_b ? 2 : filled >= end_of_b / 2 ? 1 : 0));
    REQUIRE_FALSE(warnings.empty());
    CHECK_THAT(warnings.front(), Catch::Contains("what follows is left out"));
  }
  std::string damaged = bytes;
  damaged[end_of_b / 2 + 5] ^= 1;  // the name of b.jpg
  WriteFileAtomic(folder.path() / "damaged.tar", damaged);
  Texts warnings;
  CHECK(Captions(folder.path() / "damaged.tar", &warnings) == Texts{"one"});
  CHECK_THAT(warnings.at(0), Catch::Contains("a header is damaged at byte"));
}

TEST_CASE("Samples without an image or a caption are passed over by name") {
  const TemporaryDirectory folder;
  Texts warnings;
  const auto shard = WriteShard(folder.path() / "s.tar",
                                {{"x/a.jpg", "i"},
                                 {"x/a.json", "{}"},
                                 {"x/b.txt", "t"},
                                 {"x/c.png", "i"},
                                 {"x/c.txt", "ok"}});
  CHECK(Captions(shard, &warnings) == Texts{"ok"});
  CHECK(warnings == Texts{"x/a: has no caption and no label", "x/b: has no image"});
}

TEST_CASE("The content id is that of the shards' bytes, wherever they lie") {
  const SmallShards one({3, 4});
  CHECK(SmallShards({3, 4}).content == one.content);
  CHECK(SmallShards({4, 3}).content != one.content);
  CHECK(SmallShards({3, 4}, 1).content != one.content);  // two sources
}

TEST_CASE("A set whose shards have changed, or another set, is refused") {
  const SmallShards shards({3, 4});
  CHECK_THROWS_WITH(ShardSet(shards.folder() / "index", std::string(32, '0')),
                    Catch::Contains("content id is " + shards.content));
  CHECK_THROWS_WITH(ShardSet(shards.folder(), shards.content),
                    Catch::Contains("clip_train index_shards"));
  fs::resize_file(shards.folder() / "1.tar", 512);
  CHECK_THROWS_WITH(ShardSet(shards.folder() / "index", shards.content),
                    Catch::Contains("1.tar has 512 bytes, expected"));
  fs::remove(shards.folder() / "1.tar");
  CHECK_THROWS_WITH(ShardSet(shards.folder() / "index", shards.content),
                    Catch::Contains("1.tar is missing"));
}

TEST_CASE("Every epoch has every pair once, in another order, and can be entered anywhere") {
  const SmallShards shards({7, 5, 9});
  const Texts first = shards.Run(0, 21);
  const Texts second = shards.Run(21, 21);
  CHECK(SetOf(first).size() == 21);
  CHECK(SetOf(second) == SetOf(first));
  CHECK(second != first);
  CHECK(shards.Run(30, 3) == Texts(second.begin() + 9, second.begin() + 12));
}

TEST_CASE("A smaller data_scale is contained in a larger one, and another seed is another subset") {
  SmallShards shards({7, 5, 9});
  std::set<std::string> smaller;
  for (const int64_t scale : {1, 4, 8, 13, 21}) {
    shards.spec.data.data_scale = scale;
    const auto pairs = SetOf(shards.Run(0, scale));
    CHECK(pairs.size() == static_cast<size_t>(scale));
    CHECK(std::includes(pairs.begin(), pairs.end(), smaller.begin(), smaller.end()));
    smaller = pairs;
  }
  std::set<std::set<std::string>> subsets;
  for (int seed = 0; seed < 8; ++seed) {
    shards.spec.data.data_scale = 5;
    shards.spec.data.options = {{"seed", seed}};
    subsets.insert(SetOf(shards.Run(0, 5)));
  }
  CHECK(subsets.size() > 1);
}

TEST_CASE("A long epoch is a permutation that reads few places at a time") {
  const int64_t scale = 100 * kOrderBlock + 77;
  const BlockShuffledOrder order(scale, 3);
  std::set<int64_t> seen;
  std::set<int64_t> blocks;
  for (int64_t sample = 0; sample < scale; ++sample) {
    seen.insert(order.PairOf(sample));
    if (sample < kOrderWindow) blocks.insert(order.PairOf(sample) / kOrderBlock);
  }
  CHECK(seen.size() == static_cast<size_t>(scale));
  CHECK(*seen.rbegin() == scale - 1);
  // Sixteen blocks, each of which lies across two of the counted ones.
  CHECK(blocks.size() <= 32);
  CHECK(blocks.size() > 20);
  int64_t neighbours = 0;
  for (int64_t sample = 1; sample < kOrderWindow; ++sample)
    neighbours += std::abs(order.PairOf(sample) - order.PairOf(sample - 1)) < 16 ? 1 : 0;
  CHECK(neighbours < kOrderWindow / 100);
}

TEST_CASE("Resampled pairs come in the proportion of their sources' weights") {
  const std::vector<ResampledOrder::PairRun> runs = {
      {0, 300, 1}, {300, 100, 1}, {400, 200, 3}, {600, 50, 0}};
  const ResampledOrder order(runs, 7);
  const int64_t samples = 4000 * kOrderBlock / 4;
  std::vector<double> count(runs.size());
  for (int64_t sample = 0; sample < samples * 4; sample += 4) {
    const int64_t pair = order.PairOf(sample);
    for (size_t r = 0; r < runs.size(); ++r)
      count[r] += pair >= runs[r].first && pair < runs[r].first + runs[r].pairs ? 1 : 0;
  }
  // 4,000 draws of a run: the share's standard deviation is below 0.008.
  const auto n = static_cast<double>(samples);
  CHECK(count[0] / n == Approx(0.3).margin(0.03));
  CHECK(count[1] / n == Approx(0.1).margin(0.03));
  CHECK(count[2] / n == Approx(0.6).margin(0.03));
  CHECK(count[3] == 0);
}

TEST_CASE("Within a run all pairs are resampled equally often (chi-squared)") {
  const int64_t pairs = 64;
  const ResampledOrder order({{0, pairs, 1}}, 11);
  std::vector<double> count(pairs);
  const int64_t samples = 200 * pairs;
  for (int64_t sample = 0; sample < samples; ++sample)
    ++count[static_cast<size_t>(order.PairOf(sample))];
  double chi_squared = 0;
  for (const double c : count) chi_squared += (c - 200) * (c - 200) / 200;
  CHECK(chi_squared > 32);   // 0.1 % below, 63 degrees of freedom
  CHECK(chi_squared < 104);  // 0.1 % above
}

TEST_CASE("Weights need the resampled mode and one number a source") {
  SmallShards shards({3, 4}, 1);
  shards.spec.data.options = {{"resampled", true}, {"weights", {1, 9}}};
  std::map<char, int> of_shard;
  for (const std::string& caption : shards.Run(0, 40)) ++of_shard[caption[0]];
  CHECK(of_shard['0'] + of_shard['1'] == 40);
  shards.spec.data.options = {{"resampled", true}, {"weights", {1, 2, 3}}};
  CHECK_THROWS_WITH(shards.Source(), Catch::Contains("one for each of the set's 2 sources"));
  shards.spec.data.options = {{"weights", {1, 2}}};
  CHECK_THROWS_WITH(shards.Source(), Catch::Contains("none unless resampled"));
  shards.spec.data.options = Json::object();
  shards.spec.data.data_scale = 8;
  CHECK_THROWS_WITH(shards.Source(), Catch::Contains("at most the set's 7 samples"));
}

TEST_CASE("An image that cannot be used is named once and replaced by the next, always the same") {
  const SmallShards good({6, 6});
  const SmallShards shards({6, 6}, 100, {"1.2"});
  const auto source = shards.Source();
  std::vector<uint8_t> pixels(3 * kSide * kSide);
  std::vector<uint8_t> expected(pixels.size());
  Texts captions;
  for (int64_t pair = 0; pair < 12; ++pair)
    captions.push_back(source->Load(pair, Random(1), pixels));
  const auto bad = std::adjacent_find(captions.begin(), captions.end());
  REQUIRE(bad != captions.end());
  CHECK(*bad == "1.3");
  CHECK(SetOf(captions).size() == 11);
  const auto unusable = source->TakeUnusable();
  REQUIRE(unusable.size() == 1);
  CHECK_THAT(unusable[0].name, Catch::EndsWith("1.tar: 2.jpg"));
  CHECK(unusable[0].problem == "neither JPEG nor PNG nor WebP");
  (void)source->Load(bad - captions.begin(), Random(1), pixels);
  (void)source->Load(bad - captions.begin() + 1, Random(1), expected);
  CHECK(pixels == expected);
  CHECK(source->TakeUnusable().empty());
}

TEST_CASE("Too many unusable images end the run with a data failure") {
  std::set<std::string> bad;
  for (int i = 0; i < 11; ++i) bad.insert("0." + std::to_string(i));
  const SmallShards shards({20}, 100, bad);
  CHECK_THROWS_WITH(shards.Run(0, 20), Catch::Contains("more than 10 of 20 images"));
}

TEST_CASE(
    "Batches are the same with one thread and with four, and augmentation follows the sample") {
  SmallShards shards({40});
  shards.spec.data.options = {{"least_area", 0.3}};
  const auto source = shards.Source();
  const auto order = shards.Order();
  const TokenizerSpec word{"word", ContentIdOfFile(SceneVocabulary())};
  const auto tokenizer = LoadTokenizer(word, SceneVocabulary());
  const SampleReducer reducer(SampleRunSpec(), *tokenizer, DataLibrary({}));
  BatchLoader one(*source, *order, reducer, {20, 8, 0, 120, 1});
  BatchLoader four(*source, *order, reducer, {20, 8, 0, 120, 4, 3});
  BatchLoader later(*source, *order, reducer, {20, 8, 60, 120, 2});
  std::set<std::string> images;
  for (int step = 0; step < 6; ++step) {
    Batch a;
    Batch b;
    Batch c;
    one.Next(a);
    four.Next(b);
    CHECK(at::equal(a.images_BCSS, b.images_BCSS));
    CHECK(at::equal(a.tokens_BT, b.tokens_BT));
    const auto* const pixels = a.images_BCSS.const_data_ptr<uint8_t>();
    images.emplace(pixels, pixels + a.images_BCSS.numel());
    if (step < 3) continue;
    later.Next(c);
    CHECK(at::equal(a.images_BCSS, c.images_BCSS));
  }
  CHECK(images.size() == 6);  // one picture, cropped anew each time
}

TEST_CASE("Every pair is announced a window before it is loaded") {
  class Recorder : public PairSource {
   public:
    std::string Load(int64_t, Random, std::span<uint8_t>) const override { return ""; }
    void Announce(int64_t pair) const override { announced.push_back(pair); }
    int64_t channels() const override { return 1; }
    int64_t image_size() const override { return 1; }
    mutable std::vector<int64_t> announced;
  };
  const Recorder source;
  const BlockShuffledOrder order(3 * kOrderWindow, 1);
  const TokenizerSpec word{"word", ContentIdOfFile(SceneVocabulary())};
  const auto tokenizer = LoadTokenizer(word, SceneVocabulary());
  const SampleReducer reducer(SampleRunSpec(), *tokenizer, DataLibrary({}));
  const int64_t end = kOrderWindow + 20;
  {
    BatchLoader loader(source, order, reducer, {10, 4, 0, end, 1, 4});
    Batch batch;
    for (int step = 0; step < 3; ++step) loader.Next(batch);
  }
  REQUIRE(source.announced.size() == 20);
  for (int64_t sample = 0; sample < 20; ++sample)
    CHECK(source.announced[static_cast<size_t>(sample)] == order.PairOf(sample + kOrderWindow));
}

TEST_CASE("What is read ahead are the bytes of the samples asked for, shard by shard") {
  const SmallShards shards({3, 4, 3});
  const ShardSet set(shards.folder() / "index", shards.content);
  const auto extents = set.ExtentsOf(2, 6);
  REQUIRE(extents.size() == 3);
  CHECK(extents[0].path.filename() == "0.tar");
  CHECK(extents[0].offset == static_cast<int64_t>(set.sample(2).image_at));
  CHECK(extents[0].offset + extents[0].bytes ==
        static_cast<int64_t>(set.sample(2).text_at + set.sample(2).text_bytes));
  CHECK(extents[1].offset == 512);
  CHECK(extents[1].offset + extents[1].bytes ==
        static_cast<int64_t>(set.sample(6).text_at + set.sample(6).text_bytes));
  CHECK(extents[2].bytes < extents[1].bytes / 3);
  CHECK(set.ExtentsOf(9, 1024).size() == 1);
}

TEST_CASE("A failure of one decoding thread reaches whoever waits for a batch") {
  std::set<std::string> bad;
  for (int i = 0; i < 40; ++i) bad.insert("0." + std::to_string(i));
  const SmallShards shards({40}, 100, bad);
  const auto source = shards.Source();
  const auto order = shards.Order();
  const TokenizerSpec word{"word", ContentIdOfFile(SceneVocabulary())};
  const auto tokenizer = LoadTokenizer(word, SceneVocabulary());
  const SampleReducer reducer(SampleRunSpec(), *tokenizer, DataLibrary({}));
  BatchLoader loader(*source, *order, reducer, {20, 8, 0, 120, 3});
  Batch batch;
  CHECK_THROWS_AS(loader.Next(batch), Failure);
}

TEST_CASE("Zero-shot classification reads labels, names and prompts") {
  const SmallShards shards({4, 3});
  DataLibrary library = shards.Library();
  const auto open = [&](int64_t size, const Json& options) {
    const auto spec = Evaluation(shards, "zeroshot_classification", size, options);
    return OpenClassification(spec, kSide, library);
  };
  const auto data = open(7, Json::object());
  CHECK(data.labels == std::vector<int64_t>{0, 1, 2, 0, 0, 1, 2});
  CHECK(data.prompts[2] == Texts{"a owl", "owl!"});
  CHECK(data.images.pixels.size() == 7U * 3 * kSide * kSide);
  CHECK(open(7, {{"templates", {"my {}"}}}).prompts[0] == Texts{"my cat"});
  CHECK_THROWS_WITH(open(8, Json::object()), Catch::Contains("at most 7 samples"));
}

TEST_CASE("A class that the index does not name is refused with its image") {
  const TemporaryDirectory folder;
  const auto shard =
      WriteShard(folder.path() / "s.tar", {{"a.jpg", PictureFile()}, {"a.cls", "2\n"}});
  const auto index = IndexShards(
      {{shard.string()}, folder.path() / "index", {"cat", "dog"}, {"{}"}, 1}, [](const auto&) {});
  DataLibrary library(
      std::map<std::string, std::string>{{ContentIdOf(index), (folder.path() / "index").string()}});
  const EvaluationSpec spec{
      "zeroshot_classification", kWebdataset, ContentIdOf(index), 1, Json::object()};
  CHECK_THROWS_WITH(OpenClassification(spec, kSide, library),
                    Catch::Contains("s.tar: a.jpg: class (cls) is 2, expected one of the 2"));
}

TEST_CASE("Zero-shot retrieval takes the first lines of a caption, and all images need as many") {
  const TemporaryDirectory folder;
  const auto shard = WriteShard(folder.path() / "s.tar",
                                {{"a.jpg", PictureFile()},
                                 {"a.txt", "one\n\ntwo\r\nthree\n"},
                                 {"b.jpg", PictureFile()},
                                 {"b.txt", "four\nfive"}});
  const auto index =
      IndexShards({{shard.string()}, folder.path() / "index", {}, {}, 1}, [](const auto&) {});
  DataLibrary library(
      std::map<std::string, std::string>{{ContentIdOf(index), (folder.path() / "index").string()}});
  EvaluationSpec spec{"zeroshot_retrieval", kWebdataset, ContentIdOf(index), 2, {}};
  spec.options = {{"captions_per_image", 2}};
  CHECK(OpenRetrieval(spec, kSide, library).captions == Texts{"one", "two", "four", "five"});
  spec.options = {{"captions_per_image", 3}};
  CHECK_THROWS_WITH(OpenRetrieval(spec, kSide, library),
                    Catch::Contains("b.jpg: has 2 captions (lines of its txt), expected 3"));
}

}  // namespace sweep
