#include "core/expression.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "core/failure.h"

namespace sweep {
namespace {

double Evaluate(const std::string& text) {
  return Expression(text).Evaluate([](const std::string& name) -> double {
    if (name == "batch") return 256;
    if (name == "FLOP (1e9)") return 12;
    throw Failure(FailureCode::kUsage, "unknown name " + name);
  });
}

}  // namespace

TEST_CASE("Expressions follow the usual precedence") {
  CHECK(Evaluate("1 + 2 * 3") == 7);
  CHECK(Evaluate("(1 + 2) * 3") == 9);
  CHECK(Evaluate("-2 ^ 2") == -4);
  CHECK(Evaluate("2 ^ 3 ^ 2") == 512);
  CHECK(Evaluate("2 ^ -1") == 0.5);
  CHECK(Evaluate("8 / 4 / 2") == 1);
  CHECK(Evaluate("1 < 2 && 3 != 3 || 2 >= 2") == 1);
}

TEST_CASE("Expressions know names, quoted names and functions") {
  CHECK(Evaluate("1e-4 * batch / 256") == 1e-4);
  CHECK(Evaluate("\"FLOP (1e9)\" / 6") == 2);
  CHECK(Evaluate("ceil(sqrt(10)) + max(1, batch, 3) + min(2, 1)") == 4 + 256 + 1);
  CHECK(std::isinf(Evaluate("1 / 0")));
}

TEST_CASE("Expression lists the names it refers to once each") {
  CHECK(Expression("b + a * b").names() == std::vector<std::string>{"b", "a"});
}

TEST_CASE("A malformed expression says at which character what was expected") {
  CHECK_THROWS_WITH(Expression("1 + * 2"), Catch::Contains("character 5 is '*'"));
  CHECK_THROWS_WITH(Expression("(1"), Catch::Contains("the end, expected ')'"));
  CHECK_THROWS_WITH(Expression("sin(1)"), Catch::Contains("expected a function"));
  CHECK_THROWS_WITH(Expression("max(1)"), Catch::Contains("2 arguments or more for max"));
  CHECK_THROWS_WITH(Expression("1 2"), Catch::Contains("an operator or the end"));
  CHECK_THROWS_AS(Expression(std::string(100000, '(')), Failure);
}

TEST_CASE("A sum without end is refused, not walked until the stack is full") {
  std::string text = "1";
  for (int i = 0; i < 1000000; ++i) text += "+1";
  CHECK_THROWS_WITH(Expression(text), Catch::Contains("fewer operators"));
}

}  // namespace sweep
