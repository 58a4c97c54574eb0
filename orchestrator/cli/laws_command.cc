#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>

#include "core/json.h"
#include "core/output.h"
#include "fit/law.h"
#include "orchestrator/cli/command.h"

namespace sweep {
namespace {

Json Bound(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json LawJson(const Law& law) {
  Json parameters = Json::array();
  for (const Parameter& p : law.parameters) {
    parameters.push_back({{"name", p.name},
                          {"lower", Bound(p.lower)},
                          {"upper", Bound(p.upper)},
                          {"meaning", p.meaning}});
  }
  return {{"name", law.name},
          {"formula", law.formula},
          {"source", law.source},
          {"variables", law.variables},
          {"parameters", parameters},
          {"constants", law.constants},
          {"residual", law.residual == Residual::kLog ? "log" : "linear"}};
}

void PrintLaw(const Law& law) {
  Print("{}\n  y = {}\n  {}\n", law.name, law.formula, law.source);
  for (const Parameter& p : law.parameters) Print("  {:<9} {}\n", p.name, p.meaning);
  for (const auto& [name, value] : law.constants)
    Print("  {:<9} constant, {} unless --const says otherwise\n", name, value);
  Print("\n");
}

int ListLaws(const GlobalOptions& global) {
  if (!global.json) {
    for (const Law& law : Laws()) PrintLaw(law);
    return 0;
  }
  Json laws = Json::array();
  for (const Law& law : Laws()) laws.push_back(LawJson(law));
  Print("{}\n", Json{{"schema", "sweep.laws/1"}, {"laws", laws}}.dump(1));
  return 0;
}

}  // namespace

void AddLawsCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  CLI::App* command =
      app.add_subcommand("laws", "The scaling laws that can be fitted, with formulas and sources");
  command->footer("Example:\n  sweep laws\n  sweep laws --json");
  command->callback([&global, &action] { action = [&global] { return ListLaws(global); }; });
}

}  // namespace sweep
