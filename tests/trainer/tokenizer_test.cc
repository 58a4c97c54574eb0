#include "trainer/tokenizer.h"

#include <catch2/catch.hpp>

#include "core/failure.h"
#include "core/hash.h"
#include "tests/trainer/small_data.h"
#include "trainer/word_tokenizer.h"

namespace sweep {
namespace {

using Tokens = std::vector<int64_t>;

// ids: 0 pad, 1 unknown, 2 red, 3 t-shirt, 4 start, 5 end
WordTokenizer SmallTokenizer() {
  return WordTokenizer({"<pad>", "<unknown>", "red", "t-shirt", "<start>", "<end>"}, "words");
}

Tokens Encode(const std::string& text, size_t context) {
  Tokens tokens(context, -1);
  (void)SmallTokenizer().Encode(text, tokens);
  return tokens;
}

}  // namespace

TEST_CASE("Words become ids between start and end, then padding") {
  CHECK(Encode("Red,  T-SHIRT!", 6) == Tokens{4, 2, 3, 5, 0, 0});
  CHECK(Encode("", 4) == Tokens{4, 5, 0, 0});
  CHECK(Encode("red blue", 4) == Tokens{4, 2, 1, 5});
}

TEST_CASE("A text that is too long is cut and still ends with end-of-text") {
  CHECK(Encode("red red red red", 4) == Tokens{4, 2, 2, 5});
  CHECK(Encode("red red", 4) == Tokens{4, 2, 2, 5});
  CHECK(Encode("red red red", 3) == Tokens{4, 2, 5});
}

TEST_CASE("Encode returns the length without padding") {
  Tokens tokens(8);
  CHECK(SmallTokenizer().Encode("red t-shirt", tokens) == 4);
  CHECK(SmallTokenizer().size() == 6);
}

TEST_CASE("A vocabulary without its four marks or with a word twice is refused") {
  CHECK_THROWS_AS(WordTokenizer({"<pad>", "<unknown>", "<end>", "<start>"}, "w"), Failure);
  CHECK_THROWS_WITH(WordTokenizer({"<pad>", "<unknown>", "red", "red", "<start>", "<end>"}, "w"),
                    Catch::Contains("'red' is there twice"));
}

TEST_CASE("The shipped vocabulary loads by its content id and no other") {
  TokenizerSpec spec{"word", ContentIdOfFile(SceneVocabulary())};
  const auto tokenizer = LoadTokenizer(spec, SceneVocabulary());
  CHECK(tokenizer->size() <= 64);  // what the scenes models have room for
  spec.vocabulary = std::string(32, '0');
  CHECK_THROWS_WITH(LoadTokenizer(spec, SceneVocabulary()), Catch::Contains("content id"));
}

}  // namespace sweep
