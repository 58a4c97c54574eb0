#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>

#include "core/failure.h"
#include "core/output.h"
#include "fit/adjust.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/comparison.h"

namespace sweep {
namespace {

std::string Interval(const std::optional<double>& low, const std::optional<double>& high) {
  const auto limit = [](const std::optional<double>& v) {
    return v ? fmt::format("{:.4f}", *v) : std::string("?");
  };
  return fmt::format("[{}, {}]", limit(low), limit(high));
}

std::string MethodName(const FitReport& fit) {
  if (fit.intervals.kind != IntervalKind::kBootstrap) return ToString(fit.intervals);
  return fit.select.kind == SelectKind::kAll ? "bootstrap" : "resampled, selected again";
}

void PrintCrossing(const ExponentDifference& d) {
  if (!d.crossing) return;
  Print("  the lines of {} and {} meet at C = {:.3g}", d.first, d.second, *d.crossing);
  if (d.crossing_low || d.crossing_high) {
    Print(" [{}, {}]",
          d.crossing_low ? fmt::format("{:.3g}", *d.crossing_low) : "0",
          d.crossing_high ? fmt::format("{:.3g}", *d.crossing_high) : "any more");
  } else if (d.testable) {
    Print(", which these points do not bound on either side");
  }
  Print("\n");
}

void PrintMatched(const ExponentDifference& d, const MatchedComparison& m) {
  if (m.cells.empty()) {
    Print("  no points of {} and {} agree in {}: nothing to match\n",
          d.first,
          d.second,
          fmt::join(m.columns, " and "));
    return;
  }
  Print("  matched (same {}, {} pairs): error of {} is {:.3f} times that of {}",
        fmt::join(m.columns, " and "),
        m.cells.size(),
        d.first,
        std::exp(m.mean_log_ratio),
        d.second);
  if (m.low) Print(" [{:.3f}, {:.3f}]", std::exp(*m.low), std::exp(*m.high));
  if (m.exponents) {
    Print("; their alphas differ by {:+.4f} (Welch {})",
          m.exponents->difference,
          PValueText(m.exponents->p));
  }
  Print("\n");
}

void PrintPair(const ComparedPair& pair, std::size_t family) {
  const ExponentDifference& d = pair.difference;
  Print("  {}", d.sentence);
  if (pair.calibrated_p)
    Print("; calibrated by simulating the recipe {}", PValueText(*pair.calibrated_p));
  if (d.testable && family > 1)
    Print("; over all {} tests {}", family, PValueText(pair.adjusted_p));
  Print("\n");
  PrintCrossing(d);
  if (pair.first_better)
    Print("  {} is better than {} at the given compute with probability {:.3f}\n",
          d.first,
          d.second,
          *pair.first_better);
  PrintMatched(d, pair.matched);
}

void PrintCurves(const ComparedCell& cell) {
  for (std::size_t i = 0; i < cell.fits.size(); ++i) {
    const FitReport& fit = cell.fits[i].fit;
    const Estimate& alpha = fit.At("alpha");
    Print("  {:<8} alpha {:.4f} {} ({}), beta {:.4g}, {} points ({})",
          cell.fits[i].name,
          alpha.value,
          Interval(alpha.low, alpha.high),
          MethodName(fit),
          fit.At("beta").value,
          fit.n,
          ToString(fit.select));
    if (!cell.best.empty()) Print("; best at the given compute with {:.3f}", cell.best[i]);
    Print("\n");
    for (const std::string& warning : fit.warnings) Print("           {}\n", warning);
  }
}

void PrintCell(const ComparedCell& cell, std::size_t family) {
  if (cell.task.empty()) {
    Print("{} ({})\n", cell.eval_dataset.empty() ? "all points" : cell.eval_dataset, cell.metric);
  } else {
    Print("{} {} (error = 1 - {})\n", cell.task, cell.eval_dataset, cell.metric);
  }
  PrintCurves(cell);
  if (cell.common.testable && cell.fits.size() > 2) {
    Print("  one exponent for all: {:.4f} {}, F({:.0f}, {:.1f}) = {:.3g}, {}\n",
          cell.common.slope,
          Interval(cell.common.low, cell.common.high),
          cell.common.degrees1,
          cell.common.degrees2,
          cell.common.f,
          PValueText(cell.common.p));
  }
  for (const ComparedPair& pair : cell.pairs) PrintPair(pair, family);
  Print("\n");
}

void PrintOverSets(const ComparedOverSets& over) {
  const ClusteredDifference& d = over.difference;
  Print("Over {} sets: {} is steeper than {} on {}; mean difference of alpha {:+.4f}",
        d.sets,
        over.first,
        over.second,
        d.first_steeper,
        d.mean);
  if (d.low) {
    Print(" {}, sets [{:.0f}, {:.0f}] (models resampled, {} and {} of them, each draw on all sets)",
          Interval(d.low, d.high),
          *d.sets_low,
          *d.sets_high,
          d.clusters_first,
          d.clusters_second);
  }
  Print("\n");
  if (std::min(d.clusters_first, d.clusters_second) < 5)
    Print("  few models: resampling them understates the uncertainty\n");
}

void PrintAxes(const Comparison& comparison) {
  const ComparedCell& cell = comparison.cells.front();
  Print("What varies along each curve:\n");
  bool differ = false;
  for (std::size_t i = 0; i < cell.fits.size(); ++i) {
    Print("  {:<8} {}; held: {}\n",
          cell.fits[i].name,
          fmt::join(cell.axes[i].varying, ", "),
          cell.axes[i].held.empty() ? "nothing"
                                    : fmt::format("{}", fmt::join(cell.axes[i].held, ", ")));
    differ = differ || cell.axes[i].varying.size() != cell.axes[0].varying.size();
  }
  if (differ) {
    Print(
        "The curves follow different designs: a difference of exponents is one of designs as well; "
        "the matched comparison is not.\n");
  }
}

void PrintText(const Comparison& comparison, const CompareWords& words) {
  Print("error = beta * C^alpha{}; a more negative alpha falls faster; {:.0f} % intervals\n\n",
        words.fit.query.map.empty() ? ", C = forward GMAC x samples" : "",
        100 * comparison.level);
  for (const ComparedCell& cell : comparison.cells) PrintCell(cell, comparison.tests);
  if (comparison.tests > 1 && words.adjust != "none")
    Print("p-values adjusted by {} over {}\n",
          words.adjust == "bh" ? "Benjamini and Hochberg" : "Holm",
          comparison.Family());
  for (const ComparedOverSets& over : comparison.over_sets) PrintOverSets(over);
  PrintAxes(comparison);
}

int RunCompare(const GlobalOptions& global, const CompareWords& words) {
  if (words.fit.law != "power") return CompareLaws(global, words);
  const Comparison comparison = MakeComparison(global, words);
  if (global.json) {
    Print("{}\n", ToJson(comparison, words).dump(1));
  } else {
    PrintText(comparison, words);
  }
  for (const std::string& failure : comparison.failures) Tell("sweep: {}\n", failure);
  return comparison.failures.empty() ? 0 : static_cast<int>(FailureCode::kData);
}

}  // namespace

void AddCompareCommand(CLI::App& app, const GlobalOptions& global, Action& action) {
  auto words = std::make_shared<CompareWords>();
  CLI::App* command = app.add_subcommand(
      "compare", "Curves side by side: exponents, what the data can tell, where they cross");
  command->footer(
      "Example:\n"
      "  sweep compare openai laion          the published curves; needs no store\n"
      "  sweep compare web clean --metric acc1\n"
      "  sweep compare --table runs.csv --map C=flops,E='err/100' --by family --match params\n"
      "  sweep compare --table drops.csv --law inverse_tokens --map N=params,T=tokens,drop=drop "
      "--by strategy");
  command->add_option(
      "curves", words->curves, "Names of curves (default: the store's, else openai laion)");
  AddFitWords(*command, words->fit);
  command
      ->add_option("--match",
                   words->match,
                   "Columns in which matched points agree (default: model,samples_seen)")
      ->delimiter(',');
  command->add_option("--adjust", words->adjust, "p-values over all tests: holm, bh or none")
      ->check(CLI::IsMember({"holm", "bh", "none"}))
      ->capture_default_str();
  command->add_option(
      "--at-compute", words->at, "Say which curve is better at this compute (in units of C)");
  command->callback([&global, &action, words] {
    action = [&global, words] { return RunCompare(global, *words); };
  });
}

}  // namespace sweep
