#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "core/failure.h"
#include "core/files.h"
#include "core/run_directory.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/find_run.h"

namespace sweep {
namespace {

struct LogsOptions {
  std::string run;
  int64_t attempt = 0;  // 0: the latest
  bool follow = false;
};

// A pipe in its place would be waited for. What is followed need not be there yet.
bool CanBeShown(const std::filesystem::path& log, bool follow) {
  if (!IsTaken(log)) return follow;
  std::error_code unknown;
  if (std::filesystem::is_regular_file(log, unknown)) return true;
  throw Failure(FailureCode::kData, fmt::format("{} is not a regular file", log.string()));
}

int Logs(const GlobalOptions& global, const LogsOptions& options) {
  const Store store(global.store, Store::Access::kRead);
  const RunDirectory directory = store.run_directory(FindRunId(store, options.run));
  const std::vector<int64_t> attempts = directory.AttemptNumbers();
  if (attempts.empty()) throw Failure(FailureCode::kUsage, "that run has no attempt yet");
  const int64_t attempt = options.attempt > 0 ? options.attempt : attempts.back();
  if (!IsTaken(directory.attempt(attempt))) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("that run has no attempt {}, only 1 to {}", attempt, attempts.back()));
  }
  std::vector<std::string> words = {"tail", "-n", "+1"};
  if (options.follow) words.push_back("-F");
  for (const char* name : {"stdout.log", "stderr.log"}) {
    const std::filesystem::path log = directory.attempt(attempt) / name;
    if (CanBeShown(log, options.follow)) words.push_back(log.string());
  }
  if (words.size() == 3) throw Failure(FailureCode::kUsage, "that attempt has no logs yet");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execvp(pointers[0], pointers.data());
  throw Failure(FailureCode::kInternal, fmt::format("cannot run tail: {}", std::strerror(errno)));
}

}  // namespace

void AddLogsCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* command = app.add_subcommand("logs", "What a run's trainer printed");
  command->footer(
      "Example:\n"
      "  sweep logs 3ec45cd2\n"
      "  sweep logs 3ec45cd2 --attempt 1\n"
      "  sweep logs 3ec45cd2 -f          as it is written, until Ctrl-C\n"
      "The loss curve is in `sweep export steps`.");
  command->add_option("run", options->run, "Id of a run, or how it begins")->required();
  command->add_option("--attempt", options->attempt, "Which attempt (default: the latest)")
      ->check(CLI::PositiveNumber);
  command->add_flag("-f,--follow", options->follow, "Go on as more is written");
  command->callback([&global, &action, options] {
    action = [&global, options] { return Logs(global, *options); };
  });
}

}  // namespace sweep
