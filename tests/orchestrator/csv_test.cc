#include "orchestrator/csv.h"

#include <catch2/catch.hpp>

#include "core/failure.h"

using namespace sweep;

namespace {

std::string FailureOf(const std::string& text) {
  try {
    (void)ParseCsv(text, "t.csv");
  } catch (const Failure& failure) {
    CHECK(failure.code() == FailureCode::kData);
    return failure.what();
  }
  return "no failure";
}

}  // namespace

TEST_CASE("ParseCsv reads quoted cells, CRLF, a byte-order mark and empty lines") {
  const Table table =
      ParseCsv("\xEF\xBB\xBFname,\"loss (nats)\"\r\n\"a, \"\"b\"\"\",1.5\r\n\r\nc,2\r\n", "t.csv");
  CHECK(table.columns == std::vector<std::string>{"name", "loss (nats)"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0] == std::vector<std::string>{"a, \"b\"", "1.5"});
  CHECK(table.labels == std::vector<std::string>{"line 2 (a, \"b\")", "line 4 (c)"});
}

TEST_CASE("ParseCsv takes the separator of the header and an unnamed index column away") {
  CHECK(ParseCsv("a;b\n1;2\n", "t.csv").rows[0] == std::vector<std::string>{"1", "2"});
  CHECK(ParseCsv("a\tb\n1\t2", "t.csv").rows[0] == std::vector<std::string>{"1", "2"});
  CHECK(ParseCsv(",a\n0,5\n1,6\n", "t.csv").columns == std::vector<std::string>{"a"});
}

TEST_CASE("ParseCsv counts lines inside quoted cells") {
  CHECK(ParseCsv("a,b\n\"two\nlines\",1\nx,2\n", "t.csv").labels[1] == "line 4");
}

TEST_CASE("ParseCsv names the line of what it cannot read") {
  CHECK_THAT(FailureOf("a,b\n1,2\n1\n"),
             Catch::Contains("t.csv:3") && Catch::Contains("1 cells, expected 2"));
  CHECK_THAT(FailureOf("a,a\n1,2\n"), Catch::Contains("two columns are named 'a'"));
  CHECK_THAT(FailureOf("a,b\n\"1,2\n"),
             Catch::Contains("t.csv:2") && Catch::Contains("never closed"));
  CHECK_THAT(FailureOf("a,b\n"), Catch::Contains("no rows"));
  CHECK_THAT(FailureOf(""), Catch::Contains("no rows"));
}
