#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "core/files.h"
#include "tests/support/temporary_directory.h"

namespace sweep {

/// How a process ended and what it said.
struct Ended {
  int code = -1;
  std::string out;
  std::string err;
};

/// The real `sweep`, run in a folder of its own.
class SweepProgram {
 public:
  Ended operator()(const std::string& arguments) const {
    const std::string errors = (folder_.path() / "stderr").string();
    const std::string command = "cd " + folder_.path().string() + " && " + SWEEP_BINARY_DIR +
                                "/bin/sweep " + arguments + " 2>" + errors;
    Ended ended;
    FILE* pipe = ::popen(command.c_str(), "r");
    char buffer[4096];
    for (std::size_t read = 0; (read = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
      ended.out.append(buffer, read);
    ended.code = WEXITSTATUS(::pclose(pipe));
    ended.err = ReadFile(errors);
    return ended;
  }
  /// A file in the folder the program works in.
  void Write(const std::string& name, const std::string& text) const {
    WriteFileAtomic(folder_.path() / name, text);
  }

  [[nodiscard]] std::filesystem::path folder() const { return folder_.path(); }

 private:
  TemporaryDirectory folder_;
};

}  // namespace sweep
