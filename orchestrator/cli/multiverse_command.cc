#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/failure.h"
#include "core/files.h"
#include "core/output.h"
#include "fit/multiverse.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_curves.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

struct MultiverseWords {
  FitWords fit;
  std::vector<std::string> curves;
  std::vector<std::string> computes;  // NAME=EXPRESSION
  MultiverseChoices choices;
  std::string svg;
};

// One evaluation set's multiverse, with a name for people.
struct NamedMultiverse {
  std::string name;
  Json group;
  Multiverse multiverse;
};

// The words with another expression for C.
FitWords WithCompute(const FitWords& words, const std::string& expression) {
  FitWords other = words;
  other.query.map.clear();
  for (const Assignment& part : ParseAssignments(words.query.map, "--map")) {
    if (!other.query.map.empty()) other.query.map += ",";
    other.query.map += part.name + "=" + (part.name == "C" ? expression : part.value);
  }
  return other;
}

// The points of every cell under each further definition of compute, in the same order.
std::map<std::string, std::vector<CurvePoints>> CollectDefinitions(const GlobalOptions& global,
                                                                   const MultiverseWords& words) {
  std::map<std::string, std::vector<CurvePoints>> definitions;
  definitions["C"] = CollectCurves(global, words.fit, words.curves);
  for (const std::string& word : words.computes) {
    if (words.fit.query.map.empty())
      throw Failure(FailureCode::kUsage, "--compute needs --map: it puts another expression for C");
    for (const Assignment& compute : ParseAssignments(word, "--compute"))
      definitions[compute.name] =
          CollectCurves(global, WithCompute(words.fit, compute.value), words.curves);
  }
  return definitions;
}

std::vector<NamedMultiverse> RunAll(const GlobalOptions& global, const MultiverseWords& words) {
  const auto definitions = CollectDefinitions(global, words);
  std::map<std::string, std::vector<CellMembers>> sets;
  for (const auto& [name, curves] : definitions) sets[name] = CellsOfCurves(curves);
  std::vector<NamedMultiverse> all;
  const FitOptions options = ReadFitWords(words.fit);
  for (std::size_t s = 0; s < sets.at("C").size(); ++s) {
    const CellMembers& members = sets.at("C")[s];
    std::vector<MultiverseCurve> curves;
    for (std::size_t m = 0; m < members.size(); ++m) {
      MultiverseCurve curve{.name = members[m].cell->curve, .points = {}};
      for (const auto& [name, cells] : sets)
        curve.points[name] = cells.at(s).at(m).cell->group.points;
      curves.push_back(std::move(curve));
    }
    const CurveCell& cell = *members.front().cell;
    all.push_back(
        {cell.eval_dataset.empty() ? "all points" : cell.eval_dataset,
         {{"task", cell.task}, {"eval_dataset", cell.eval_dataset}, {"metric", cell.metric}},
         RunMultiverse(curves, words.choices, options)});
  }
  return all;
}

void PrintEffects(const MultiverseSummary& s) {
  for (const FactorEffect& effect : s.effects) {
    std::string means;
    for (const auto& [alternative, mean] : effect.mean)
      means += fmt::format("{}{} {:.4f}", means.empty() ? "" : ", ", alternative, mean);
    Print("    {:<9}{:>4.0f} % of the variance: {}\n", effect.factor, 100 * effect.share, means);
  }
}

void PrintOne(const NamedMultiverse& named) {
  const Multiverse& m = named.multiverse;
  Print("{}: {} specifications\n", named.name, m.specifications.size());
  for (std::size_t r = 0; r < m.summaries.size(); ++r) {
    const MultiverseSummary& s = m.summaries[r];
    const std::string of = r < m.curves.size() ? "alpha of " + m.curves[r]
                                               : "alpha of " + m.curves[0] + " less " + m.curves[1];
    Print(
        "  {}: median {:.4f}, half within [{:.4f}, {:.4f}], all within [{:.4f}, {:.4f}]; reference "
        "{:.4f}\n    sign flips in {:.1f} %, different from zero at {:.0f} % in {:.1f} %{}\n",
        of,
        s.median,
        s.low_quartile,
        s.high_quartile,
        s.least,
        s.most,
        s.reference,
        100 * s.flipped,
        100 * m.level,
        100 * s.significant,
        s.failed > 0 ? fmt::format("; {} specifications could not be fitted", s.failed) : "");
    PrintEffects(s);
  }
}

int RunMultiverseCommand(const GlobalOptions& global, const MultiverseWords& words) {
  const std::vector<NamedMultiverse> all = RunAll(global, words);
  if (!words.svg.empty()) {
    if (all.size() != 1) {
      throw Failure(FailureCode::kUsage,
                    fmt::format("--svg draws one evaluation set, there are {}: choose with --where",
                                all.size()));
    }
    const std::vector<std::string>& curves = all.front().multiverse.curves;
    const std::string of = curves.size() == 2 ? "alpha of " + curves[0] + " less " + curves[1]
                                              : "alpha of " + curves[0];
    WriteFileAtomic(words.svg,
                    SpecificationCurveSvg(all.front().multiverse, all.front().name + ": " + of));
  }
  if (global.json) {
    Json list = Json::array();
    for (const NamedMultiverse& named : all) {
      list.push_back(ToJson(named.multiverse));
      list.back()["group"] = named.group;
    }
    Print("{}\n", Json{{"schema", "sweep.multiverse/1"}, {"multiverses", list}}.dump(1));
    return 0;
  }
  for (const NamedMultiverse& named : all) PrintOne(named);
  return 0;
}

}  // namespace

void AddMultiverseCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto words = std::make_shared<MultiverseWords>();
  CLI::App* command = app.add_subcommand(
      "multiverse", "The exponent under every defensible choice, and how often a conclusion flips");
  command->footer(
      "Example:\n"
      "  sweep multiverse openai laion --where eval_dataset=imagenet1k --svg curve.svg\n"
      "  sweep multiverse --table runs.csv --map C=flops,E='err/100' --compute "
      "noembed='6*(params-embed)*tokens'");
  command->add_option("curves",
                      words->curves,
                      "One curve, or two to compare (default: the store's, else openai laion)");
  AddFitWords(*command, words->fit);
  MultiverseChoices& choices = words->choices;
  const auto alternatives =
      [&](const char* name, std::vector<std::string>& list, const char* what) {
        command->add_option(name, list, what)->delimiter(',')->capture_default_str();
      };
  alternatives("--selects", choices.select, "Selections to try");
  alternatives("--losses", choices.loss, "Losses to try");
  alternatives("--residuals", choices.residual, "Residual spaces to try");
  alternatives("--laws", choices.law, "Laws to try (with an alpha over C)");
  alternatives("--drops", choices.drop, "How many points of least compute to leave out");
  command->add_option("--compute", words->computes, "Another definition of C: NAME=EXPRESSION")
      ->allow_extra_args(false);
  command->add_option("--svg", words->svg, "Draw the specification curve to this file");
  command->callback([&global, &action, words] {
    action = [&global, words] { return RunMultiverseCommand(global, *words); };
  });
}

}  // namespace sweep
