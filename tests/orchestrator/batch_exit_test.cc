#include <catch2/catch.hpp>
#include <fstream>

#include "orchestrator/batch_submission.h"
#include "tests/support/temporary_directory.h"

namespace sweep {

TEST_CASE("How a trainer ended is not known from an exit file that is empty or torn") {
  const TemporaryDirectory directory;
  const auto folder = directory.path() / "attempts" / "1";
  std::filesystem::create_directories(folder);
  CHECK_FALSE(ReadBatchExit(directory.path(), 1));
  for (const char* text : {"", "\n", "1", "13", "x\n", "-1\n", "4711\n", "\0\0"}) {
    std::ofstream(folder / "exit") << text;
    CHECK_FALSE(ReadBatchExit(directory.path(), 1));
  }
  std::ofstream(folder / "exit") << "130 preempted\n";
  const auto exit = ReadBatchExit(directory.path(), 1);
  REQUIRE(exit);
  CHECK(exit->exit_code == 130);
  CHECK(exit->cause == "preempted");
}

}  // namespace sweep
