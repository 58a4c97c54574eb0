#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "core/failure.h"
#include "core/output.h"
#include "db/store.h"
#include "orchestrator/check_store.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/recovery.h"

namespace sweep {
namespace {

void PrintNotes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) Tell("{}\n", note);
}

void PrintCheck(const std::string& store, const StoreCheck& check) {
  Print("{}: {}\n", (std::filesystem::path(store) / "sweep.db").string(), check.index);
  for (const std::string& problem : check.problems) Print("{}\n", problem);
  for (const std::string& remark : check.remarks) Print("{}\n", remark);
  if (check.evaluations_without_checksum > 0)
    Print(
        "{} evaluations come from files without a checksum: damage to these would not be "
        "noticed (`sweep export evaluations` lists them)\n",
        check.evaluations_without_checksum);
  if (!check.compared)
    Print("a `sweep` is at work on the store: its database was not compared with the files\n");
}

Json CheckJson(const StoreCheck& check) {
  return {{"schema", "sweep.db_check/1"},
          {"ok", check.problems.empty()},
          {"report", check.index},
          {"problems", check.problems},
          {"remarks", check.remarks},
          {"advice", check.advice},
          {"compared", check.compared},
          {"evaluations_without_checksum", check.evaluations_without_checksum}};
}

int Check(const GlobalOptions& global) {
  const StoreCheck check = CheckStore(global.store);
  if (global.json) {
    Print("{}\n", CheckJson(check).dump(-1, ' ', false, Json::error_handler_t::replace));
  } else {
    PrintCheck(global.store, check);
  }
  if (check.problems.empty()) return 0;
  throw Failure(FailureCode::kDatabase,
                fmt::format("{} has {} problems: {}",
                            global.store,
                            check.problems.size(),
                            fmt::join(check.advice, "; ")));
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
      db->add_subcommand("check",
                         "Read everything in the store, and compare database and files; exit 7 "
                         "where something is damaged or missing");
  check->callback([&] { action = [&global] { return Check(global); }; });
  CLI::App* rebuild =
      db->add_subcommand("rebuild", "Make sweep.db anew from everything else in the store");
  rebuild->callback([&] { action = [&global] { return Rebuild(global); }; });
}

}  // namespace sweep
