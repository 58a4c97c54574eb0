#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "core/failure.h"
#include "fit/adjust.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/fit_axes.h"
#include "orchestrator/cli/fit_curves.h"

namespace sweep {
namespace {

struct CompareWords {
  FitWords fit;
  std::vector<std::string> curves;
  std::string adjust = "holm";
  double at = 0;
};

// Two curves on one evaluation set.
struct Pair {
  std::size_t first = 0;  // index into Cell::fits
  std::size_t second = 0;
  ExponentDifference difference;
  MatchedComparison matched;
  double adjusted_p = 1;
  std::optional<double> first_better;  // probability at --at
};

// Everything about one evaluation set.
struct Cell {
  std::string task;
  std::string eval_dataset;
  std::string metric;
  std::vector<CurveFit> fits;
  std::vector<Axes> axes;
  std::vector<Pair> pairs;
};

class Comparison {
 public:
  Comparison(const GlobalOptions& global, const CompareWords& words)
      : words_(words), options_(ReadFitWords(words.fit)), published_(LoadPublishedCurves()) {
    if (options_.law != "power")
      throw Failure(FailureCode::kUsage, "compare rests on log-log lines: --law power only");
    LoadTable(global);
    for (const std::string& name : CurveNames()) AddCurve(name);
    MakeCells();
    Adjust();
  }

  [[nodiscard]] const std::vector<Cell>& cells() const { return cells_; }
  [[nodiscard]] double level() const { return options_.level; }

 private:
  void LoadTable(const GlobalOptions& global) {
    if (words_.fit.table.empty() && !std::filesystem::exists(global.store)) return;
    own_ = LoadRows(global, words_.fit);
  }

  [[nodiscard]] std::vector<std::string> OwnCurves() const {
    std::vector<std::string> names;
    if (!own_ || !own_->Has("curve")) return names;
    for (const auto& row : own_->rows) {
      const std::string& name = row[own_->Find("curve")];
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return names;
  }

  [[nodiscard]] std::vector<std::string> CurveNames() const {
    if (!words_.curves.empty()) return words_.curves;
    const std::vector<std::string> own = OwnCurves();
    return own.size() >= 2 ? own : std::vector<std::string>{"openai", "laion"};
  }

  // A curve of one's own table or store comes before a published one of the same name.
  void AddCurve(const std::string& name) {
    const std::vector<std::string> own = OwnCurves();
    if (std::find(own.begin(), own.end(), name) != own.end()) {
      Curve curve;
      curve.name = name;
      curve.where = {{"curve", {name}}};
      curves_.push_back(PointsOfCurve(*own_, curve, published_, words_.fit));
      return;
    }
    std::string known;
    for (const Curve& curve : published_.curves) {
      if (curve.name == name) {
        curves_.push_back(PointsOfCurve(published_.rows, curve, published_, words_.fit));
        return;
      }
      known += (known.empty() ? "" : ", ") + curve.name;
    }
    for (const std::string& other : own) known += ", " + other;
    throw Failure(FailureCode::kUsage,
                  fmt::format("there is no curve '{}'; there are {}", name, known));
  }

  // Every set that at least two curves were measured on, in the first curve's order.
  void MakeCells() {
    std::vector<const CurveCell*> seen;
    for (const CurvePoints& curve : curves_) {
      for (const CurveCell& cell : curve.cells) {
        const bool again = std::any_of(
            seen.begin(), seen.end(), [&](const CurveCell* s) { return Same(*s, cell); });
        if (again) continue;
        seen.push_back(&cell);
        MakeCell(cell);
      }
    }
    if (cells_.empty())
      throw Failure(FailureCode::kData, "no evaluation set has points of two of these curves");
  }

  static bool Same(const CurveCell& a, const CurveCell& b) {
    return a.task == b.task && a.eval_dataset == b.eval_dataset && a.metric == b.metric;
  }

  void MakeCell(const CurveCell& key) {
    std::vector<std::pair<const CurvePoints*, const CurveCell*>> members;
    for (const CurvePoints& curve : curves_) {
      for (const CurveCell& cell : curve.cells) {
        if (Same(cell, key)) members.emplace_back(&curve, &cell);
      }
    }
    if (members.size() < 2) return;
    Cell cell{.task = key.task,
              .eval_dataset = key.eval_dataset,
              .metric = key.metric,
              .fits = {},
              .axes = {},
              .pairs = {}};
    for (const auto& [curve, own] : members) {
      cell.fits.push_back({own->curve, FitCell(*own)});
      cell.axes.push_back(AxesOf(curve->rows, own->group.rows));
    }
    for (std::size_t a = 0; a < members.size(); ++a) {
      for (std::size_t b = a + 1; b < members.size(); ++b) {
        Pair pair{.first = a,
                  .second = b,
                  .difference = CompareExponents(cell.fits[a], cell.fits[b]),
                  .matched = {},
                  .first_better = {}};
        pair.matched = CompareMatched(
            *members[a].first, *members[a].second, *members[b].first, *members[b].second, level());
        if (words_.at > 0)
          pair.first_better = ProbabilityFirstBetter(cell.fits[a].fit, cell.fits[b].fit, words_.at);
        cell.pairs.push_back(std::move(pair));
      }
    }
    cells_.push_back(std::move(cell));
  }

  [[nodiscard]] FitReport FitCell(const CurveCell& cell) const {
    FitOptions options = options_;
    options.select = ParseSelection(cell.select);
    try {
      FitReport report = Fit(cell.group.points, options);
      report.group = {{"curve", cell.curve},
                      {"task", cell.task},
                      {"eval_dataset", cell.eval_dataset},
                      {"metric", cell.metric}};
      report.excluded.insert(
          report.excluded.begin(), cell.group.excluded.begin(), cell.group.excluded.end());
      return report;
    } catch (const Failure& failure) {
      throw Failure(failure.code(),
                    fmt::format("{}, {}: {}", cell.curve, cell.eval_dataset, failure.what()));
    }
  }

  // The family: all evaluation sets of this comparison, for each pair of curves.
  void Adjust() {
    const std::size_t pairs = cells_.front().pairs.size();
    for (std::size_t p = 0; p < pairs; ++p) {
      std::vector<Pair*> family;
      std::vector<double> values;
      for (Cell& cell : cells_) {
        if (p >= cell.pairs.size() || !cell.pairs[p].difference.testable) continue;
        family.push_back(&cell.pairs[p]);
        values.push_back(cell.pairs[p].difference.p);
      }
      const std::vector<double> adjusted = words_.adjust == "bh" ? BenjaminiHochbergAdjusted(values)
                                           : words_.adjust == "none" ? values
                                                                     : HolmAdjusted(values);
      for (std::size_t i = 0; i < family.size(); ++i) family[i]->adjusted_p = adjusted[i];
    }
  }

  const CompareWords& words_;
  FitOptions options_;
  PublishedCurves published_;
  std::optional<Table> own_;
  std::vector<CurvePoints> curves_;
  std::vector<Cell> cells_;
};

Json ToJson(const Comparison& comparison, const CompareWords& words) {
  Json list = Json::array();
  for (const Cell& cell : comparison.cells()) {
    Json curves = Json::array();
    for (std::size_t i = 0; i < cell.fits.size(); ++i) {
      curves.push_back({{"name", cell.fits[i].name},
                        {"fit", ToJson(cell.fits[i].fit)},
                        {"axes", ToJson(cell.axes[i])}});
    }
    Json pairs = Json::array();
    for (const Pair& pair : cell.pairs) {
      Json json = ToJson(pair.difference);
      json["p_adjusted"] = pair.difference.testable ? Json(pair.adjusted_p) : Json(nullptr);
      json["matched"] = ToJson(pair.matched);
      if (pair.first_better) json["probability_first_better"] = *pair.first_better;
      pairs.push_back(std::move(json));
    }
    list.push_back({{"task", cell.task},
                    {"eval_dataset", cell.eval_dataset},
                    {"metric", cell.metric},
                    {"curves", curves},
                    {"pairs", pairs}});
  }
  return {{"schema", "sweep.compare/1"},
          {"adjustment", words.adjust},
          {"family", fmt::format("the {} evaluation sets compared", comparison.cells().size())},
          {"comparisons", list}};
}

std::string Interval(const Estimate& e) {
  const auto limit = [](const std::optional<double>& v) {
    return v ? fmt::format("{:.4f}", *v) : std::string("?");
  };
  return fmt::format("[{}, {}]", limit(e.low), limit(e.high));
}

std::string MethodName(const FitReport& fit) {
  if (fit.intervals.kind != IntervalKind::kBootstrap) return ToString(fit.intervals);
  return fit.select.kind == SelectKind::kAll ? "bootstrap" : "resampled, selected again";
}

void PrintPair(const Pair& pair, std::size_t family) {
  const ExponentDifference& d = pair.difference;
  fmt::print("  {}", d.sentence);
  if (d.testable && family > 1)
    fmt::print("; over all {} sets p = {:.3f}", family, pair.adjusted_p);
  fmt::print("\n");
  if (d.crossing) {
    fmt::print("  the lines meet at C = {:.3g} GMAC", *d.crossing);
    if (d.crossing_low && d.crossing_high)
      fmt::print(" [{:.3g}, {:.3g}]", *d.crossing_low, *d.crossing_high);
    fmt::print("\n");
  }
  if (pair.first_better)
    fmt::print("  {} is better at the given compute with probability {:.3f}\n",
               d.first,
               *pair.first_better);
  const MatchedComparison& m = pair.matched;
  if (m.cells.empty()) {
    fmt::print("  no points of the two agree in model and samples seen: nothing to match\n");
    return;
  }
  fmt::print("  matched (same model and samples, {} pairs): error of {} is {:.3f} times that of {}",
             m.cells.size(),
             d.first,
             std::exp(m.mean_log_ratio),
             d.second);
  if (m.low) fmt::print(" [{:.3f}, {:.3f}]", std::exp(*m.low), std::exp(*m.high));
  if (m.exponents) {
    fmt::print("; their alphas differ by {:+.4f} (Welch p = {:.3f})",
               m.exponents->difference,
               m.exponents->p);
  }
  fmt::print("\n");
}

void PrintCell(const Cell& cell, std::size_t family) {
  fmt::print("{} {} (error = 1 - {})\n", cell.task, cell.eval_dataset, cell.metric);
  for (const CurveFit& curve : cell.fits) {
    const FitReport& fit = curve.fit;
    const Estimate& alpha = fit.At("alpha");
    fmt::print("  {:<8} alpha {:.4f} {} ({}), beta {:.4g}, {} points ({})\n",
               curve.name,
               alpha.value,
               Interval(alpha),
               MethodName(fit),
               fit.At("beta").value,
               fit.n,
               ToString(fit.select));
    for (const std::string& warning : fit.warnings) fmt::print("           {}\n", warning);
  }
  for (const Pair& pair : cell.pairs) PrintPair(pair, family);
  fmt::print("\n");
}

void PrintAxes(const Comparison& comparison) {
  const Cell& cell = comparison.cells().front();
  fmt::print("What varies along each curve:\n");
  bool differ = false;
  for (std::size_t i = 0; i < cell.fits.size(); ++i) {
    fmt::print("  {:<8} {}; held: {}\n",
               cell.fits[i].name,
               fmt::join(cell.axes[i].varying, ", "),
               cell.axes[i].held.empty() ? "nothing"
                                         : fmt::format("{}", fmt::join(cell.axes[i].held, ", ")));
    differ = differ || cell.axes[i].varying.size() != cell.axes[0].varying.size();
  }
  if (differ) {
    fmt::print(
        "The curves follow different designs: a difference of exponents is one of designs as well; "
        "the matched comparison is not.\n");
  }
}

int RunCompare(const GlobalOptions& global, const CompareWords& words) {
  const Comparison comparison(global, words);
  if (global.json) {
    fmt::print("{}\n", ToJson(comparison, words).dump(1));
    return 0;
  }
  fmt::print(
      "error = beta * C^alpha, C = forward GMAC x samples; a more negative alpha falls faster; "
      "{:.0f} % intervals\n\n",
      100 * comparison.level());
  for (const Cell& cell : comparison.cells()) PrintCell(cell, comparison.cells().size());
  PrintAxes(comparison);
  return 0;
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
      "  sweep compare --table runs.csv a b --json");
  command->add_option(
      "curves", words->curves, "Names of curves (default: the store's, else openai laion)");
  AddFitWords(*command, words->fit);
  command->add_option("--adjust", words->adjust, "p-values over all sets: holm, bh or none")
      ->check(CLI::IsMember({"holm", "bh", "none"}))
      ->capture_default_str();
  command->add_option(
      "--at-compute", words->at, "Say which curve is better at this compute (GMAC)");
  command->callback([&global, &action, words] {
    action = [&global, words] { return RunCompare(global, *words); };
  });
}

}  // namespace sweep
