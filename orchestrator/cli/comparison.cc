#include "orchestrator/cli/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/failure.h"
#include "fit/adjust.h"
#include "fit/parallel.h"

namespace sweep {
namespace {

constexpr int kSimulations = 999;  // p-values to a thousandth
constexpr int kResamples = 500;

RecipeCurve RecipeOf(const CellMember& member) {
  return {&member.cell->group.points, ParseSelection(member.cell->select)};
}

class Comparer {
 public:
  Comparer(const GlobalOptions& global, const CompareWords& words)
      : words_(words),
        options_(ReadFitWords(words.fit)),
        curves_(CollectCurves(global, words.fit, words.curves)) {}

  Comparison Run() {
    if (!words_.fit.query.map.empty() && words_.fit.query.by.empty()) {
      throw Failure(FailureCode::kUsage,
                    "compare with --map needs --by COLUMN: the column whose values are the curves "
                    "(further columns: the sets they are compared on)");
    }
    comparison_.level = options_.level;
    MakeCells();
    Adjust();
    CompareSets();
    return std::move(comparison_);
  }

 private:
  // Every set that at least two curves were measured on, in the first curve's order.
  void MakeCells() {
    std::vector<CellMembers> sets = CellsOfCurves(curves_);
    std::erase_if(sets, [](const CellMembers& members) { return members.size() < 2; });
    if (sets.empty())
      throw Failure(FailureCode::kData, "no evaluation set has points of two of these curves");
    std::vector<std::optional<ComparedCell>> cells(sets.size());
    std::vector<std::string> failures(sets.size());
    ParallelFor(sets.size(), options_.threads, [&](std::size_t s) {
      try {
        cells[s] = MakeCell(sets[s]);
      } catch (const Failure& failure) {
        if (failure.code() != FailureCode::kData) throw;
        failures[s] = failure.what();
      }
    });
    for (std::size_t s = 0; s < sets.size(); ++s) {
      if (cells[s]) {
        comparison_.cells.push_back(std::move(*cells[s]));
        sets_.push_back(std::move(sets[s]));
      } else {
        comparison_.failures.push_back(failures[s]);
      }
    }
    if (comparison_.cells.empty()) throw Failure(FailureCode::kData, comparison_.failures.front());
  }

  [[nodiscard]] ComparedCell MakeCell(const CellMembers& members) const {
    RefuseMixedCompute(members);
    ComparedCell cell;
    cell.task = members.front().cell->task;
    cell.eval_dataset = members.front().cell->eval_dataset;
    cell.metric = members.front().cell->metric;
    for (const CellMember& member : members) {
      cell.fits.push_back({member.cell->curve, FitCell(*member.cell)});
      cell.axes.push_back(
          AxesOf(member.curve->rows, member.cell->group.rows, DesignColumns(member)));
    }
    cell.common = TestCommonSlope(cell.fits);
    if (words_.at > 0) cell.best = ProbabilitiesOfBest(cell.fits, words_.at);
    for (std::size_t a = 0; a < members.size(); ++a) {
      for (std::size_t b = a + 1; b < members.size(); ++b)
        cell.pairs.push_back(MakePair(members, cell, a, b));
    }
    return cell;
  }

  [[nodiscard]] ComparedPair MakePair(const CellMembers& members,
                                      const ComparedCell& cell,
                                      std::size_t a,
                                      std::size_t b) const {
    ComparedPair pair;
    pair.first = a;
    pair.second = b;
    pair.difference = CompareExponents(cell.fits[a], cell.fits[b]);
    pair.matched = CompareMatched(*members[a].curve,
                                  *members[a].cell,
                                  *members[b].curve,
                                  *members[b].cell,
                                  options_.level,
                                  words_.match);
    const RecipeCurve first = RecipeOf(members[a]), second = RecipeOf(members[b]);
    const bool selected =
        first.select.kind != SelectKind::kAll || second.select.kind != SelectKind::kAll;
    if (selected && pair.difference.testable)
      pair.calibrated_p = CalibratedWelchP(first, second, kSimulations, options_.seed);
    if (words_.at > 0)
      pair.first_better = ProbabilityFirstBetter(cell.fits[a].fit, cell.fits[b].fit, words_.at);
    return pair;
  }

  // Of a mapped table every column may be a part of the design, except what is long text or the
  // observable; of others the usual columns are.
  [[nodiscard]] std::vector<std::string> DesignColumns(const CellMember& member) const {
    std::vector<std::string> columns;
    if (words_.fit.query.map.empty()) return columns;
    const Table& rows = member.curve->rows;
    for (const std::string& column : rows.columns) {
      const auto& by = words_.fit.query.by;
      const bool key = std::find(by.begin(), by.end(), column) != by.end();
      if (!key && words_.fit.query.map.find(column) == std::string::npos) columns.push_back(column);
    }
    return columns;
  }

  // Two curves may each be of one definition, but of different ones.
  static void RefuseMixedCompute(const CellMembers& members) {
    std::set<std::string> definitions;
    for (const CellMember& member : members) {
      const Table& rows = member.curve->rows;
      if (!rows.Has("compute_definition")) continue;
      for (const std::size_t row : member.cell->group.rows)
        definitions.insert(rows.rows[row][rows.Find("compute_definition")]);
    }
    if (definitions.size() < 2) return;
    throw Failure(FailureCode::kData,
                  fmt::format("these curves count compute in different ways ({}): their exponents "
                              "and levels cannot be compared",
                              fmt::join(definitions, ", ")));
  }

  [[nodiscard]] FitReport FitCell(const CurveCell& cell) const {
    FitOptions options = options_;
    options.select = ParseSelection(cell.select);
    options.threads = 1;  // the sets are the parallel work
    try {
      FitReport report = Fit(cell.group.points, options);
      report.group = {{"curve", cell.curve},
                      {"task", cell.task},
                      {"eval_dataset", cell.eval_dataset},
                      {"metric", cell.metric}};
      report.excluded.insert(
          report.excluded.begin(), cell.group.excluded.begin(), cell.group.excluded.end());
      report.warnings.insert(
          report.warnings.begin(), cell.group.warnings.begin(), cell.group.warnings.end());
      return report;
    } catch (const Failure& failure) {
      throw Failure(failure.code(),
                    fmt::format("{}, {}: {}", cell.curve, cell.eval_dataset, failure.what()));
    }
  }

  // The family: every test of two exponents that this comparison makes.
  void Adjust() {
    std::vector<ComparedPair*> family;
    std::vector<double> values;
    for (ComparedCell& cell : comparison_.cells) {
      for (ComparedPair& pair : cell.pairs) {
        if (!pair.difference.testable) continue;
        family.push_back(&pair);
        values.push_back(pair.difference.p);
      }
    }
    const std::vector<double> adjusted = words_.adjust == "bh" ? BenjaminiHochbergAdjusted(values)
                                         : words_.adjust == "none" ? values
                                                                   : HolmAdjusted(values);
    for (std::size_t i = 0; i < family.size(); ++i) family[i]->adjusted_p = adjusted[i];
    comparison_.tests = family.size();
  }

  // Each pair of curves over all sets that have both.
  void CompareSets() {
    std::map<std::pair<std::string, std::string>, std::vector<SetPair>> pairs;
    for (const CellMembers& members : sets_) {
      for (std::size_t a = 0; a < members.size(); ++a) {
        for (std::size_t b = a + 1; b < members.size(); ++b) {
          pairs[{members[a].cell->curve, members[b].cell->curve}].push_back(
              {RecipeOf(members[a]), RecipeOf(members[b])});
        }
      }
    }
    for (const auto& [names, sets] : pairs) {
      if (sets.size() < 2) continue;
      comparison_.over_sets.push_back(
          {names.first,
           names.second,
           CompareOverSets(sets, options_.level, kResamples, options_.seed)});
    }
  }

  const CompareWords& words_;
  FitOptions options_;
  std::vector<CurvePoints> curves_;
  std::vector<CellMembers> sets_;
  Comparison comparison_;
};

Json PairJson(const ComparedPair& pair) {
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  Json json = ToJson(pair.difference);
  json["p_adjusted"] = pair.difference.testable ? Json(pair.adjusted_p) : Json(nullptr);
  json["p_calibrated"] = or_null(pair.calibrated_p);
  json["matched"] = ToJson(pair.matched);
  if (pair.first_better) json["probability_first_better"] = *pair.first_better;
  return json;
}

Json CellJson(const ComparedCell& cell) {
  Json curves = Json::array();
  for (std::size_t i = 0; i < cell.fits.size(); ++i) {
    curves.push_back({{"name", cell.fits[i].name},
                      {"fit", ToJson(cell.fits[i].fit)},
                      {"axes", ToJson(cell.axes[i])}});
    if (!cell.best.empty()) curves.back()["probability_best"] = cell.best[i];
  }
  Json pairs = Json::array();
  for (const ComparedPair& pair : cell.pairs) pairs.push_back(PairJson(pair));
  return {{"task", cell.task},
          {"eval_dataset", cell.eval_dataset},
          {"metric", cell.metric},
          {"curves", curves},
          {"common_slope", ToJson(cell.common)},
          {"pairs", pairs}};
}

Json OverSetsJson(const ComparedOverSets& over) {
  const auto or_null = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  const ClusteredDifference& d = over.difference;
  return {{"first", over.first},
          {"second", over.second},
          {"sets", d.sets},
          {"first_steeper_on", d.first_steeper},
          {"first_steeper_on_low", or_null(d.sets_low)},
          {"first_steeper_on_high", or_null(d.sets_high)},
          {"mean_alpha_difference", d.mean},
          {"low", or_null(d.low)},
          {"high", or_null(d.high)},
          {"models", {d.clusters_first, d.clusters_second}}};
}

}  // namespace

std::string Comparison::Family() const {
  return fmt::format(
      "the {} tests of two exponents made here, over {} evaluation sets", tests, cells.size());
}

Comparison MakeComparison(const GlobalOptions& global, const CompareWords& words) {
  return Comparer(global, words).Run();
}

Json ToJson(const Comparison& comparison, const CompareWords& words) {
  Json list = Json::array();
  for (const ComparedCell& cell : comparison.cells) list.push_back(CellJson(cell));
  Json over = Json::array();
  for (const ComparedOverSets& sets : comparison.over_sets) over.push_back(OverSetsJson(sets));
  return {{"schema", "sweep.compare/1"},
          {"adjustment", words.adjust},
          {"family", comparison.Family()},
          {"comparisons", list},
          {"failures", comparison.failures},
          {"over_sets", over}};
}

}  // namespace sweep
