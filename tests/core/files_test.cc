#include "core/files.h"

#include <catch2/catch.hpp>

#include "core/failure.h"
#include "tests/support/temporary_directory.h"

namespace sweep {

TEST_CASE("WriteFileAtomic replaces a file and leaves no temporary behind") {
  const TemporaryDirectory directory;
  WriteFileAtomic(directory.path() / "a", "old");
  WriteFileAtomic(directory.path() / "a", "new");
  CHECK(ReadFile(directory.path() / "a") == "new");
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 1);
}

TEST_CASE("PublishFileOnce keeps the first content and says so") {
  const TemporaryDirectory directory;
  CHECK(PublishFileOnce(directory.path() / "result.json", "first"));
  CHECK_FALSE(PublishFileOnce(directory.path() / "result.json", "second"));
  CHECK(ReadFile(directory.path() / "result.json") == "first");
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 1);
}

TEST_CASE("A write into a missing folder fails with the path") {
  CHECK_THROWS_WITH(WriteFileAtomic("/nonexistent-folder/x", "y"),
                    Catch::Contains("/nonexistent-folder/"));
}

}  // namespace sweep
