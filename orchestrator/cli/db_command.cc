#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/failure.h"
#include "core/output.h"
#include "db/store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/recovery.h"

namespace sweep {
namespace {

void PrintNotes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) Tell("{}\n", note);
}

int Check(const GlobalOptions& global) {
  const Store store(global.store, Store::Access::kRead);
  const std::string report = store.IntegrityReport();
  const int64_t unchecked = report == "ok" ? store.UncheckedEvaluations() : 0;
  if (global.json) {
    Print("{}\n",
          Json{{"schema", "sweep.db_check/1"},
               {"ok", report == "ok"},
               {"report", report},
               {"evaluations_without_checksum", unchecked}}
              .dump());
  } else {
    Print("{}: {}\n", (store.root() / "sweep.db").string(), report);
    if (unchecked > 0)
      Print(
          "{} evaluations come from files without a checksum: damage to these would not be "
          "noticed (`sweep export evaluations` lists them)\n",
          unchecked);
  }
  if (report == "ok") return 0;
  throw Failure(FailureCode::kDatabase,
                "the database is damaged; `sweep db rebuild` makes it anew from the store's files");
}

int Rebuild(const GlobalOptions& global) {
  if (!std::filesystem::is_directory(global.store)) {
    throw Failure(FailureCode::kData, fmt::format("no store at {}", global.store));
  }
  std::vector<std::string> notes;
  RebuildDatabase(global.store, notes);
  PrintNotes(notes);
  const Store store(global.store, Store::Access::kRead);
  const size_t runs = store.States().size();
  const size_t evaluations = store.FinishedEvaluations().size();
  if (global.json) {
    Print("{}\n",
          Json{{"schema", "sweep.db_rebuild/1"}, {"runs", runs}, {"evaluations", evaluations}}
              .dump());
  } else {
    Print("rebuilt {}: {} runs, {} evaluations; the old database is sweep.db.old\n",
          (store.root() / "sweep.db").string(),
          runs,
          evaluations);
  }
  return 0;
}

}  // namespace

void AddDbCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  CLI::App* db = app.add_subcommand(
      "db", "Check the store's database, or make it anew from the store's files");
  db->require_subcommand(1);
  db->footer("Example:\n  sweep db check\n  sweep db rebuild --store results");
  CLI::App* check =
      db->add_subcommand("check", "SQLite's integrity and foreign-key checks; exit 7 when damaged");
  check->callback([&] { action = [&global] { return Check(global); }; });
  CLI::App* rebuild =
      db->add_subcommand("rebuild", "Make sweep.db anew from everything else in the store");
  rebuild->callback([&] { action = [&global] { return Rebuild(global); }; });
}

}  // namespace sweep
