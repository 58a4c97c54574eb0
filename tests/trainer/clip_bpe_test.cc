#include "trainer/clip_bpe.h"

#include <catch2/catch.hpp>

#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"
#include "tests/support/temporary_directory.h"
#include "tests/trainer/golden_folder.h"
#include "trainer/html_unescape.h"
#include "trainer/unicode.h"

namespace sweep {
namespace {

using Tokens = std::vector<int64_t>;

// ids: 'a' 64, 'b' 65, 'c' 66, at the end of a word 256 more; 512 "ab", 513 "bc</w>", 514 start,
// 515 end
ClipBpe SmallTokenizer() {
  return ClipBpe({{"a", "b"}, {"b", "c</w>"}}, "merges");
}

Tokens Encode(const std::string& text, size_t context = 8) {
  Tokens tokens(context, -1);
  (void)SmallTokenizer().Encode(text, tokens);
  return tokens;
}

std::string Unescaped(const std::string& text) {
  return EncodeUtf8(UnescapeHtml(DecodeUtf8(text)));
}

std::string Lower(const std::string& text) {
  return EncodeUtf8(ToLower(DecodeUtf8(text)));
}

}  // namespace

TEST_CASE("Bytes are joined in the order of the merges, the earliest first") {
  CHECK(Encode("abc") == Tokens{514, 512, 66 + 256, 515, 0, 0, 0, 0});
  CHECK(Encode("bc") == Tokens{514, 513, 515, 0, 0, 0, 0, 0});
  CHECK(Encode("ababa c") == Tokens{514, 512, 512, 64 + 256, 66 + 256, 515, 0, 0});
}

TEST_CASE("Texts are cleaned: HTML twice, white space, case") {
  CHECK(Encode("&amp;#97;BC \n\t b") == Encode("abc b"));
  CHECK(Encode("  ") == Tokens{514, 515, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("A text of too many pieces is cut and ends with end-of-text") {
  CHECK(Encode("bc bc bc bc", 4) == Tokens{514, 513, 513, 515});
  CHECK(Encode("bc bc", 4) == Tokens{514, 513, 513, 515});
  CHECK(Encode("aaaaaaaa", 4) == Tokens{514, 64, 64, 515});
}

TEST_CASE("Encode counts the ids before the padding") {
  Tokens tokens(8);
  CHECK(SmallTokenizer().Encode("abc", tokens) == 4);
  CHECK(SmallTokenizer().size() == 516);
}

TEST_CASE("A merge of something that is no symbol is refused with its place") {
  CHECK_THROWS_WITH(ClipBpe({{"a", "b"}, {"ab", "cd"}}, "merges"),
                    Catch::Contains("merges: merge 2 joins 'ab' and 'cd'"));
}

TEST_CASE("A merges file with a line that is no merge is refused with file and line") {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "merges.txt";
  WriteFileAtomic(path, "#version\na b\nabc\n");
  CHECK_THROWS_WITH(ReadClipMerges(path), Catch::Contains("merges.txt:3: 'abc', expected two"));
  CHECK_THROWS_AS(ReadClipMerges(folder.path() / "absent"), Failure);
}

TEST_CASE("The ids of hostile texts are open_clip's", "[tokenizer_golden]") {
  const auto path = GoldenFolder() / "merges.txt";
  const auto tokenizer = LoadTokenizer({"clip_bpe", ContentIdOfFile(path)}, path);
  CHECK(VocabularySize("clip_bpe", path) == tokenizer->size());
  const Json golden = ReadJsonFile((GoldenFolder() / "tokenizer.json").string());
  size_t different = 0;
  for (size_t i = 0; i < golden["texts"].size(); ++i) {
    Tokens tokens(golden["context"].get<size_t>());
    (void)tokenizer->Encode(golden["texts"][i].get<std::string>(), tokens);
    if (tokens == golden["ids"][i].get<Tokens>()) continue;
    ++different;
    CAPTURE(i, golden["texts"][i].dump());
    if (different < 10) CHECK(tokens == golden["ids"][i].get<Tokens>());
  }
  CHECK(golden["texts"].size() >= 150);
  CHECK(different == 0);
}

TEST_CASE("HTML's references: longest name, old names without semicolon, wrong numbers") {
  CHECK(Unescaped("&notin; &notit; &amp &ampx") == "∉ ¬it; & &x");
  CHECK(Unescaped("&#65;&#x42;&#X43 &#0;&#128;&#xD800;&#99999999999;") == "ABC �€��");
  CHECK(Unescaped("&#11;&#xFFFE;|& &; &# &#x; &unknown;") == "|& &; &# &#x; &unknown;");
  CHECK(Unescaped("&NotEqualTilde;") == "≂̸");
}

TEST_CASE("Lower case follows Unicode where it is not one character for one") {
  CHECK(Lower("ΌΔΟΣ ΣΑΣ, Σ Σ'Σ") == "όδος σας, σ σ'ς");
  CHECK(Lower("İ ǅ ẞ Ⅷ K") == "i̇ ǆ ß ⅷ k");
}

TEST_CASE("Every byte that is no UTF-8 becomes U+FFFD") {
  const std::string bytes = "a\xC3\xA9\xC0\x80\xE2\x82|\xED\xA0\x80\xF5";
  CHECK(EncodeUtf8(DecodeUtf8(bytes)) == "aé����|����");
  CHECK(EncodeUtf8(DecodeUtf8("😀東")) == "😀東");
}

}  // namespace sweep
