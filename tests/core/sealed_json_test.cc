#include "core/sealed_json.h"

#include <catch2/catch.hpp>

#include "core/failure.h"
#include "core/json_fields.h"
#include "core/printable.h"
#include "core/run_directory.h"

namespace sweep {

TEST_CASE("A sealed document comes back, checked, and every flipped bit of it is noticed") {
  RunResult result;
  result.run_id = std::string(32, 'a');
  result.attempt = 1;
  result.outcome = "completed";
  const std::string text = ResultFileText(result);
  const SealedJson whole = ParseSealedJson(text, "result.json");
  CHECK(whole.checked);
  CHECK(whole.document == FieldsToJson(result));
  for (size_t byte = 0; byte < text.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = text;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      INFO("byte " << byte << " bit " << bit);
      CHECK_THROWS_AS(FieldsFromJson<RunResult>(ParseSealedJson(flipped, "x").document, "x"),
                      Malformed);
    }
  }
}

TEST_CASE("A document without checksum is taken, and said to be unchecked") {
  const SealedJson open = ParseSealedJson(R"({"a": 1})", "x");
  CHECK_FALSE(open.checked);
  CHECK(open.document == Json{{"a", 1}});
}

TEST_CASE("A trainer's words are cut between characters and lose their control characters") {
  CHECK(Printable("a\x1b[2J\tb\n") == "a [2J\tb\n");
  CHECK(Printable("a\xff b\xc3") == "a? b?");
  CHECK(Printable("aé", 2) == "a…");
  CHECK(Printable("aé", 3) == "aé");
}

}  // namespace sweep
