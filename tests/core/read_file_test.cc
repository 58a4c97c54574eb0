#include "core/read_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <thread>

#include "core/failure.h"
#include "core/files.h"
#include "core/json.h"
#include "tests/support/temporary_directory.h"

namespace sweep {
namespace {

// The failure of `read`; the test fails when there is none.
template <class Read>
std::pair<FailureCode, std::string> FailureOf(Read read) {
  try {
    (void)read();
  } catch (const Failure& failure) {
    return {failure.code(), failure.what()};
  }
  FAIL("nothing was thrown");
  return {};
}

}  // namespace

TEST_CASE("A pipe, a device and a folder in the place of a file are refused without waiting") {
  const TemporaryDirectory directory;
  const auto pipe = directory.path() / "result.json";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THAT(FailureOf([&] { return ReadFile(pipe); }).second,
             Catch::Contains("result.json: it is a pipe, not a regular file"));
  CHECK_THAT(FailureOf([] { return ReadFile("/dev/zero"); }).second,
             Catch::Contains("a device, not a regular file"));
  CHECK_THAT(FailureOf([&] { return ReadFile(directory.path()); }).second,
             Catch::Contains("Is a directory"));
  CHECK_THROWS_AS(ReadJsonFile(pipe.string()), Malformed);
}

TEST_CASE("A file that a person names may be a pipe, and an endless one ends at the limit") {
  const TemporaryDirectory directory;
  const auto pipe = directory.path() / "sweep.json";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(pipe) << std::string(100000, 'x'); });
  CHECK(ReadNamedFile(pipe) == std::string(100000, 'x'));
  writer.join();
  CHECK_THAT(FailureOf([] { return ReadNamedFile("/dev/zero", 1 << 20); }).second,
             Catch::Contains("larger than 1048576 bytes"));
}

TEST_CASE("A file is read whole up to its limit and refused beyond it") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "file";
  for (const size_t size : {size_t{0}, size_t{1}, size_t{65535}, size_t{65536}, size_t{200000}}) {
    WriteFileAtomic(path, std::string(size, 'a'));
    CHECK(ReadFile(path, static_cast<int64_t>(size)) == std::string(size, 'a'));
    if (size > 0) CHECK_THROWS_AS(ReadFile(path, static_cast<int64_t>(size) - 1), Malformed);
  }
}

TEST_CASE("An absent file is the user's mistake, too many open files are not") {
  CHECK(FailureOf([] { return ReadFile("/absent"); }).first == FailureCode::kUsage);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{0, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto failure = FailureOf([] { return ReadFile("/etc/passwd"); });
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(failure.first == FailureCode::kDatabase);
  CHECK_THAT(failure.second, Catch::Contains("Too many open files"));
}

TEST_CASE("JSON nested too deep is refused by every reader") {
  const TemporaryDirectory directory;
  const std::string path = (directory.path() / "deep.json").string();
  for (const std::string& open : {std::string("["), std::string("{\"a\":")}) {
    std::string text;
    for (int i = 0; i < 300000; ++i) text += open;
    WriteFileAtomic(path, text);
    CHECK_THROWS_AS(ParseJson(text, "text"), Malformed);
    CHECK_THROWS_AS(ReadJsonFile(path), Malformed);
    CHECK_THROWS_AS(ReadJsonStream(path, [](int, Json::parse_event_t, Json&) { return true; }),
                    Malformed);
  }
  CHECK(ParseJson("\"[[[\\\"{{{\"", "text") == "[[[\"{{{");
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']');
  };
  CHECK_NOTHROW(ParseJson(nested(kMostJsonDepth), "text"));
  CHECK_THROWS_AS(ParseJson(nested(kMostJsonDepth + 1), "text"), Malformed);
}

}  // namespace sweep
