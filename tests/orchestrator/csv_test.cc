#include "orchestrator/csv.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "core/csv.h"
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

TEST_CASE("A table without end, of one line or of many, is refused before it takes memory") {
  const std::string row = "a,b\n" + std::string(kMostCsvRowBytes + 1, 'x');
  CHECK_THAT(FailureOf(row), Catch::Contains("t.csv:2: a row of more than 1048576 bytes"));
  CHECK_THAT(FailureOf("a,b\n\"" + row), Catch::Contains("a row of more than"));
  CHECK_THAT(FailureOf(std::string(kMostCsvRowBytes + 1, ',')),
             Catch::Contains("t.csv:1: a row of"));
  std::string many = "a,b\n";
  for (size_t i = 0; i <= kMostCsvCells / 5; ++i) many += ",\n";
  CHECK_THAT(FailureOf(many), Catch::Contains("t.csv:3200002: more than 16000000 cells"));
  CHECK_THROWS_WITH(ReadCsv("/dev/zero"), Catch::Contains("/dev/zero:1: a row of more than"));
}

TEST_CASE("A row is read the same wherever the pieces of its file end") {
  const std::string text = "\xEF\xBB\xBFx,\"y\r\n\"\r\n\"a \"\"q\"\"\",  b \r\n\r\n1,\r\n";
  const CsvText whole = ParseCsvText(text, "t.csv");
  for (size_t piece = 1; piece < text.size(); ++piece) {
    size_t at = 0;
    const CsvText read = ReadCsvText(
        [&](char* buffer, size_t size) {
          const size_t got = text.copy(buffer, std::min(size, piece), at);
          at += got;
          return got;
        },
        "t.csv");
    CHECK(read.columns == whole.columns);
    CHECK(read.rows == whole.rows);
    CHECK(read.lines == whole.lines);
  }
  CHECK(whole.rows == std::vector<std::vector<std::string>>{{"a \"q\"", "b"}, {"1", ""}});
}
