#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "core/failure.h"
#include "core/run_directory.h"
#include "orchestrator/cli/command.h"

namespace sweep {
namespace {

struct LogsOptions {
  std::string run;
  int64_t attempt = 0;  // 0: the latest
  bool follow = false;
};

RunDirectory FindRunDirectory(const std::filesystem::path& store, const std::string& beginning) {
  std::vector<std::filesystem::path> found;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(store / "runs", absent)) {
    if (entry.path().filename().string().starts_with(beginning)) found.push_back(entry.path());
  }
  if (found.empty()) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("no run in {} begins with '{}' and has started; `sweep status` lists "
                              "them",
                              store.string(),
                              beginning));
  }
  if (found.size() > 1) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{} runs begin with '{}', as {} and {}; give more of the id",
                              found.size(),
                              beginning,
                              found[0].filename().string(),
                              found[1].filename().string()));
  }
  return RunDirectory(found[0]);
}

int Logs(const GlobalOptions& global, const LogsOptions& options) {
  const RunDirectory directory = FindRunDirectory(global.store, options.run);
  const std::vector<int64_t> attempts = directory.AttemptNumbers();
  if (attempts.empty()) throw Failure(FailureCode::kUsage, "that run has no attempt yet");
  const int64_t attempt = options.attempt > 0 ? options.attempt : attempts.back();
  if (!std::filesystem::exists(directory.attempt(attempt))) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("that run has no attempt {}, only 1 to {}", attempt, attempts.back()));
  }
  std::vector<std::string> words = {"tail", "-n", "+1"};
  if (options.follow) words.push_back("-F");
  for (const char* name : {"stdout.log", "stderr.log"}) {
    const std::filesystem::path log = directory.attempt(attempt) / name;
    if (options.follow || std::filesystem::exists(log)) words.push_back(log.string());
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
