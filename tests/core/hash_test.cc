#include "core/hash.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "core/canonical_fields.h"
#include "tests/support/sample_specs.h"

namespace sweep {
namespace {

struct Inner {
  std::string zeta;
  bool alpha = false;
};
template <class Visitor>
void VisitFields(Visitor& visit, Inner& s) {
  visit("zeta", s.zeta);
  visit("alpha", s.alpha, false);
}

// One field of every kind that a stored struct may have, not in the order of their names.
struct Outer {
  double number = 0;
  int64_t count = 0;
  std::string text;
  Inner inner;
  std::vector<Inner> list;
  std::vector<double> numbers;
  std::map<std::string, std::vector<int64_t>> map;
  std::optional<double> maybe;
  Json options = Json::object();
};
template <class Visitor>
void VisitFields(Visitor& visit, Outer& s) {
  visit("number", s.number, 0.5);
  visit("text", s.text);
  visit("count", s.count, 7);
  visit("list", s.list);
  visit("inner", s.inner);
  visit("numbers", s.numbers);
  visit("maybe", s.maybe);
  visit("Map", s.map);
  visit("options", s.options, Json::object());
}

template <class Struct>
void CheckCanonical(const Struct& value) {
  CHECK(CanonicalFields(value) == CanonicalDump(FieldsToJson(value)));
}

}  // namespace

TEST_CASE("Sha256Hex matches the FIPS 180 example") {
  CHECK(Sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("ContentId does not see key order or the spelling of integral numbers") {
  CHECK(ContentId(Json::parse(R"({"a":1,"b":2.0})")) == ContentId(Json::parse(R"({"b":2,"a":1})")));
  CHECK(ContentId(Json::parse(R"({"a":1})")) != ContentId(Json::parse(R"({"a":1.5})")));
}

TEST_CASE("Canonical text in pieces is the whole text, and so is its identity") {
  Outer value;
  for (int i = 0; i < 100000; ++i) value.list.emplace_back();
  std::string joined;
  size_t pieces = 0;
  const TextSource source = CanonicalFieldsInPieces(value);
  source([&](std::string_view piece) {
    joined += piece;
    ++pieces;
  });
  CHECK(pieces > 4);
  CHECK(joined == CanonicalFields(value));
  CHECK(ContentIdOfText(source) == ContentIdOfText(joined));
}

TEST_CASE("CanonicalFields writes what the canonical dump of the fields would be") {
  CheckCanonical(SampleRunSpec());
  CheckCanonical(SampleEvaluationSpec());
  CheckCanonical(Outer());
  const std::vector<std::string> texts = {
      "", "plain", "quote \" back \\ slash /", "line\nbreak\t\x01 \x7f", "Grüße 日本", "a\0b"};
  const std::vector<double> numbers = {0.0,
                                       -0.0,
                                       1.0,
                                       -3.0,
                                       0.1,
                                       1e-300,
                                       1e22,
                                       9007199254740992.0,
                                       9007199254740994.0,
                                       1.0 / 3,
                                       5e-324,
                                       1.7976931348623157e308,
                                       1e15 + 0.5,
                                       std::nan(""),
                                       HUGE_VAL};
  for (const double number : numbers) {
    for (const std::string& text : texts) {
      Outer value;
      value.number = number;
      value.count = static_cast<int64_t>(text.size()) - (int64_t{1} << 62);
      value.text = text;
      value.inner = {text, !text.empty()};
      value.list = {{"x", false}, {text, true}};
      value.numbers = {number, 2, number};
      value.map = {{text, {1, -2}}, {"", {}}};
      value.maybe = number;
      value.options = {{"b", number}, {"a", {{"deep", text}}}, {"c", nullptr}};
      CheckCanonical(value);
    }
  }
}

TEST_CASE("Crc32 is the checksum of zlib") {
  CHECK(Crc32("123456789") == 0xCBF43926U);
}

}  // namespace sweep
