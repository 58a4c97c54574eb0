#include "core/files.h"

#include <sys/resource.h>

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

TEST_CASE("A durable batch makes folders at once and publishes files when it is committed") {
  const TemporaryDirectory directory;
  const std::filesystem::path folder = directory.path() / "a" / "b";
  WriteFileAtomic(directory.path() / "old", "first");
  {
    DurableBatch abandoned;
    abandoned.Make(folder);
    abandoned.Publish(folder / "file", "never");
  }
  CHECK(std::filesystem::is_empty(folder));
  DurableBatch batch;
  batch.Make(folder / "c");
  batch.Publish(folder / "c" / "file", "content");
  batch.Publish(directory.path() / "old", "second");
  CHECK_FALSE(std::filesystem::exists(folder / "c" / "file"));
  batch.Commit();
  CHECK(ReadFile(folder / "c" / "file") == "content");
  CHECK(ReadFile(directory.path() / "old") == "first");
  CHECK(std::distance(std::filesystem::directory_iterator(folder / "c"), {}) == 1);
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 2);
}

TEST_CASE("A durable batch holds no descriptors, however many files it has") {
  const TemporaryDirectory directory;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{64, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  DurableBatch batch;
  for (int i = 0; i < 300; ++i) batch.Publish(directory.path() / std::to_string(i), "content");
  batch.Commit();
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 300);
  CHECK(ReadFile(directory.path() / "299") == "content");
}

TEST_CASE("A write into a missing folder fails with the path") {
  CHECK_THROWS_WITH(WriteFileAtomic("/nonexistent-folder/x", "y"),
                    Catch::Contains("/nonexistent-folder/"));
}

}  // namespace sweep
