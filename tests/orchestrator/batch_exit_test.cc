#include <catch2/catch.hpp>
#include <fstream>

#include "orchestrator/batch_submission.h"
#include "orchestrator/subprocess.h"
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

TEST_CASE("A job's script leaves its exit file whole or not at all") {
  const TemporaryDirectory directory;
  const auto folder = directory.path() / "attempts" / "1";
  std::filesystem::create_directories(folder);
  const auto write = [&](const std::string& first, const std::string& words) {
    const std::string script =
        kJobShell + first + "\nfolder='" + folder.string() + "'\nwrite_exit " + words;
    return RunCommand({"bash", "-c", script}, std::chrono::seconds(30)).ok();
  };
  CHECK_FALSE(write("trap '' XFSZ; ulimit -f 0", "1"));  // no room for a byte
  CHECK_FALSE(std::filesystem::exists(folder / "exit"));
  CHECK(write("", "1"));
  const auto elsewhere = directory.path() / "elsewhere";
  std::ofstream(elsewhere) << "untouched";
  std::filesystem::remove(folder / "exit");
  std::filesystem::create_symlink(elsewhere, folder / "exit");
  CHECK(write("", "3 time_limit"));
  const auto exit = ReadBatchExit(directory.path(), 1);
  REQUIRE(exit);
  CHECK(exit->exit_code == 3);
  CHECK(exit->cause == "time_limit");
  CHECK(std::filesystem::file_size(elsewhere) == std::string("untouched").size());
  std::filesystem::remove_all(folder / "exit");
  CHECK(std::filesystem::is_empty(folder));
}

}  // namespace sweep
