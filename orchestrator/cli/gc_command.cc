#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "core/files.h"
#include "core/output.h"
#include "db/lease.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/garbage.h"
#include "orchestrator/progress.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct GcOptions {
  bool remove = false;
  bool unlisted_runs = false;
};

void Remove(const std::vector<Garbage>& garbage) {
  for (const Garbage& item : garbage) {
    std::error_code failed;
    std::filesystem::remove_all(item.path, failed);
    if (failed) ThrowFileError("cannot remove", item.path, failed.value());
  }
}

// To act, gc holds the store, so that nothing starts on what it removes. It only reads the
// database: it must work on a full disk.
GarbageReport Collect(const std::string& root, const GcOptions& options) {
  std::optional<Lease> lease;
  if (options.remove && Store::Exists(root)) lease.emplace(root);
  GarbageReport found = FindGarbage(Store(root, Store::Access::kRead), options.unlisted_runs);
  if (options.remove) Remove(found.garbage);
  return found;
}

int Gc(const GlobalOptions& global, const GcOptions& options) {
  const auto [garbage, links] = Collect(global.store, options);
  for (const std::filesystem::path& link : links)
    Tell("{}: left alone, with all that this symbolic link leads to\n", link.string());
  double bytes = 0;
  for (const Garbage& item : garbage) bytes += item.bytes;
  if (global.json) {
    Json items = Json::array();
    for (const Garbage& item : garbage)
      items.push_back({{"kind", item.kind}, {"path", item.path.string()}, {"bytes", item.bytes}});
    Print("{}\n",
          Json{{"schema", "sweep.gc/1"},
               {"deleted", options.remove},
               {"bytes", bytes},
               {"items", items}}
              .dump(1));
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Garbage& item : garbage)
    rows.push_back({item.kind, HumanBytes(item.bytes), item.path.string()});
  if (!rows.empty()) Print("{}\n", FormatTable({"what", "size", "path"}, rows));
  Print("{} things, {}{}\n",
        garbage.size(),
        HumanBytes(bytes),
        options.remove    ? " removed"
        : garbage.empty() ? ""
                          : " could go; nothing was removed (--delete does)");
  return 0;
}

}  // namespace

void AddGcCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto options = std::make_shared<GcOptions>();
  CLI::App* command = app.add_subcommand(
      "gc", "List, or remove, checkpoints and temporaries that nothing needs any more");
  command->footer(
      "Example:\n"
      "  sweep gc                 lists and removes nothing\n"
      "  sweep gc --delete\n"
      "A completed run keeps its last checkpoint and those that evaluations, child runs or keep_at "
      "need; any other run its newest two as well. Runs at work are left alone.");
  command->add_flag("--delete", options->remove, "Remove what is listed");
  command->add_flag("--unlisted-runs",
                    options->unlisted_runs,
                    "Also folders of runs that no sweep of the store contains");
  command->callback([&global, &action, options] {
    action = [&global, options] { return Gc(global, *options); };
  });
}

}  // namespace sweep
