#include "trainer/random.h"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

namespace sweep {

TEST_CASE("Random draws the same numbers on every machine") {
  // Stored: data sets and initial weights are functions of these numbers.
  Random random(3, 1, 4);
  CHECK(random.Next() == 0xe81ec4fa05ab4a01U);
  CHECK(Random(3, 1, 4).Below(1000) == Random(3, 1, 4).Below(1000));
  CHECK(Random(3, 1, 4).Next() != Random(3, 4, 1).Next());
}

TEST_CASE("Below and Unit are uniform") {
  Random random(9);
  std::vector<int> counts(7);
  double sum = 0;
  for (int i = 0; i < 70000; ++i) {
    ++counts[static_cast<size_t>(random.Below(7))];
    sum += random.Unit();
  }
  for (const int count : counts) CHECK(count == Approx(10000).margin(400));
  CHECK(sum / 70000 == Approx(0.5).margin(0.01));
}

TEST_CASE("ShuffledIndex is a bijection of every size") {
  for (const int64_t size : {1, 2, 3, 5, 16, 17, 100, 1000}) {
    std::set<int64_t> seen;
    for (int64_t i = 0; i < size; ++i) seen.insert(ShuffledIndex(i, size, 42));
    CHECK(static_cast<int64_t>(seen.size()) == size);
    CHECK(*seen.begin() == 0);
    CHECK(*seen.rbegin() == size - 1);
  }
}

TEST_CASE("ShuffledIndex orders another key's epoch anew") {
  int same_place = 0;
  int neighbours = 0;
  for (int64_t i = 0; i + 1 < 4096; ++i) {
    same_place += static_cast<int>(ShuffledIndex(i, 4096, 1) == ShuffledIndex(i, 4096, 2));
    neighbours += static_cast<int>(ShuffledIndex(i + 1, 4096, 1) == ShuffledIndex(i, 4096, 1) + 1);
  }
  CHECK(same_place < 10);
  CHECK(neighbours < 10);
}

}  // namespace sweep
