#include "trainer/token_reduction.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

#include "core/compute.h"
#include "core/failure.h"
#include "core/hash.h"
#include "tests/support/sample_specs.h"

namespace sweep {
namespace {

constexpr int64_t kSide = 8;

std::filesystem::path PartsOfSpeechFile() {
  return std::filesystem::path(SWEEP_SOURCE_DIR) / "sweeps/vocabularies/parts_of_speech.json";
}

// 100 + i for word i: shows which words were kept.
class Counting : public Tokenizer {
 public:
  int64_t Encode(std::string_view text, std::span<int64_t> tokens) const override {
    const auto words = static_cast<int64_t>(std::count(text.begin(), text.end(), ' ')) + 1;
    const int64_t inner = std::min<int64_t>(words, static_cast<int64_t>(tokens.size()) - 2);
    std::fill(tokens.begin(), tokens.end(), 0);
    tokens[0] = 998;
    for (int64_t i = 0; i < inner; ++i) tokens[static_cast<size_t>(i) + 1] = 100 + i;
    tokens[static_cast<size_t>(inner) + 1] = 999;
    return inner + 2;
  }
  int64_t size() const override { return 1000; }
};

RunSpec SpecWith(const TokenReductionSpec& reduction) {
  RunSpec spec = SampleRunSpec();
  spec.model.vision.image_size = kSide * spec.model.vision.patch_size;
  spec.reduction = reduction;
  return spec;
}

std::vector<int64_t> Kept(const std::string& mask, double dropout, uint64_t draw) {
  const TokenReductionSpec reduction{mask, dropout, "truncate", ""};
  VisionSpec vision = SpecWith(reduction).model.vision;
  std::vector<int64_t> kept(static_cast<size_t>(KeptPatchCount(vision, reduction)));
  ChoosePatches(reduction, kSide, Random(draw), kept);
  return kept;
}

std::vector<int64_t> Tokens(const std::string& text, int64_t sample, size_t context) {
  static const Counting tokenizer;
  DataLibrary library({});
  const SampleReducer reducer(SpecWith({"random", 0, text, ""}), tokenizer, library);
  std::vector<int64_t> tokens(context);
  CHECK(reducer.Encode(sample, "a b c d e f g h i j", tokens) ==
        static_cast<int64_t>(std::min<size_t>(context, 12)));
  return tokens;
}

}  // namespace

TEST_CASE("Random masks keep the promised number, every patch as often as another") {
  std::map<int64_t, int> seen;
  for (uint64_t draw = 0; draw < 4000; ++draw) {
    const auto kept = Kept("random", 0.5, draw);
    REQUIRE(kept.size() == 32);
    REQUIRE(std::is_sorted(kept.begin(), kept.end()));
    REQUIRE(std::set<int64_t>(kept.begin(), kept.end()).size() == 32);
    for (const int64_t patch : kept) ++seen[patch];
  }
  REQUIRE(seen.size() == 64);
  for (const auto& [patch, count] : seen) CHECK(std::abs(count - 2000) < 5 * 32);  // 5 deviations
}

TEST_CASE("Grid masks keep exactly one patch of every 2 x 2 window") {
  std::set<int64_t> ever;
  for (uint64_t draw = 0; draw < 50; ++draw) {
    std::set<std::pair<int64_t, int64_t>> windows;
    for (const int64_t patch : Kept("grid", 0.75, draw)) {
      windows.insert({patch / kSide / 2, patch % kSide / 2});
      ever.insert(patch);
    }
    CHECK(windows.size() == 16);
  }
  CHECK(ever.size() == 64);
}

TEST_CASE("Block masks keep a square, anywhere") {
  std::set<int64_t> corners;
  for (uint64_t draw = 0; draw < 500; ++draw) {
    const auto kept = Kept("block", 0.6, draw);  // 25.6 patches: 5 x 5
    REQUIRE(kept.size() == 25);
    for (size_t i = 0; i < kept.size(); ++i) {
      const auto number = static_cast<int64_t>(i);
      REQUIRE(kept[i] == kept[0] + number / 5 * kSide + number % 5);
    }
    REQUIRE(kept[0] % kSide + 5 <= kSide);
    REQUIRE(kept.back() < 64);
    corners.insert(kept[0]);
  }
  CHECK(corners.size() == 16);
}

TEST_CASE("What a sample keeps depends on the seed and its number alone") {
  static const Counting tokenizer;
  DataLibrary library({});
  RunSpec spec = SpecWith({"random", 0.75, "random", ""});
  const SampleReducer one(spec, tokenizer, library);
  const SampleReducer same(spec, tokenizer, library);
  spec.seed += 1;
  const SampleReducer other(spec, tokenizer, library);
  const auto patches = [](const SampleReducer& reducer, int64_t sample) {
    std::vector<int64_t> kept(static_cast<size_t>(reducer.kept_patches()));
    reducer.Patches(sample, kept);
    return kept;
  };
  CHECK(patches(one, 7) == patches(same, 7));
  CHECK(patches(one, 7) != patches(one, 8));
  CHECK(patches(one, 7) != patches(other, 7));
}

TEST_CASE("Long captions keep start, end and as many tokens as there is room for, in order") {
  CHECK(Tokens("truncate", 0, 6) == std::vector<int64_t>{998, 100, 101, 102, 103, 999});
  std::set<std::vector<int64_t>> random;
  std::set<int64_t> first_of_block;
  for (int64_t sample = 0; sample < 300; ++sample) {
    const auto block = Tokens("block", sample, 6);
    CHECK(block.front() == 998);
    CHECK(block.back() == 999);
    for (size_t i = 2; i < 5; ++i) CHECK(block[i] == block[i - 1] + 1);
    first_of_block.insert(block[1]);
    const auto some = Tokens("random", sample, 6);
    CHECK(std::is_sorted(some.begin() + 1, some.end() - 1));
    CHECK(std::set<int64_t>(some.begin(), some.end()).size() == 6);
    random.insert(some);
  }
  CHECK(first_of_block.size() == 7);  // 10 words, 4 of them: 7 places
  CHECK(random.size() > 100);         // of 210
  for (const std::string text : {"random", "block"})
    CHECK(Tokens(text, 3, 16) == Tokens("truncate", 3, 16));
}

TEST_CASE("Syntax keeps nouns before adjectives before verbs before the rest, in their order") {
  const PartsOfSpeech words(PartsOfSpeechFile(), ContentIdOfFile(PartsOfSpeechFile()));
  const std::string text = "The quick red fox is jumping over a lazy brown dog, happily.";
  CHECK(words.Shorten(text, 3) == "quick fox dog,");
  CHECK(words.Shorten(text, 6) == "quick red fox lazy brown dog,");
  CHECK(words.Shorten(text, 7) == "quick red fox is lazy brown dog,");
  CHECK(words.Shorten(text, 20) == text);
  CHECK(words.Rank("sneaker") == 1);
  CHECK(words.Rank("wedding") == 1);
  CHECK(words.Rank("colorless") == 2);
  CHECK(words.Rank("skateboarding") == 3);
  CHECK(words.Rank("slowly") == 4);
  CHECK_THROWS_WITH(PartsOfSpeech(PartsOfSpeechFile(), "0"), Catch::Contains("content id"));
}

TEST_CASE(
    "Compute counts the patches that are computed: a quarter of them is the smaller image's") {
  RunSpec spec = SpecWith({"random", 0.75, "truncate", ""});
  RunSpec smaller = spec;
  smaller.reduction = {};
  smaller.model.vision.image_size /= 2;
  CHECK(CountForwardGmacs(spec.model, spec.reduction).total() ==
        Approx(CountForwardGmacs(smaller.model).total()).epsilon(1e-12));
  CHECK(TrainFlopsPerSample(spec) == Approx(TrainFlopsPerSample(smaller)).epsilon(1e-12));
}

TEST_CASE("Reductions that cannot be are refused by name") {
  const auto check = [](const TokenReductionSpec& reduction, const std::string& expected) {
    CHECK_THROWS_WITH(ValidateRunSpec(SpecWith(reduction), "spec"), Catch::Contains(expected));
  };
  check({"some", 0.5, "truncate", ""}, "patch_mask is some, expected random, grid or block");
  check({"random", 1, "truncate", ""}, "patch_dropout is 1, expected a share in [0, 1)");
  check({"grid", 0.5, "truncate", ""}, "expected 0.75");
  check({"random", 0, "shuffle", ""}, "text is shuffle");
  check({"random", 0, "syntax", ""}, "parts_of_speech is empty");
  RunSpec odd = SpecWith({"grid", 0.75, "truncate", ""});
  odd.model.vision.image_size = 3 * odd.model.vision.patch_size;
  CHECK_THROWS_WITH(ValidateRunSpec(odd, "spec"), Catch::Contains("3 x 3 patches"));
}

}  // namespace sweep
