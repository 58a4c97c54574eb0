#include <fmt/format.h>

#include <algorithm>

#include "core/failure.h"
#include "core/output.h"
#include "fit/adjust.h"
#include "orchestrator/cli/comparison.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

// Two groups, every parameter of the law.
struct LawPair {
  std::string first, second;
  std::vector<ParameterDifference> parameters;
  std::vector<double> adjusted;
};

struct LawComparison {
  std::vector<CurveFit> fits;
  std::vector<LawPair> pairs;
  CommonLaw common;
  std::size_t tests = 0;
};

bool Wanted(const CompareWords& words, const std::string& name) {
  return words.curves.empty() ||
         std::find(words.curves.begin(), words.curves.end(), name) != words.curves.end();
}

// One law for all points: the fit that the groups' own fits are compared with.
FitReport FitTogether(const Table& table,
                      const CompareWords& words,
                      const std::vector<std::string>& names) {
  FitWords together = words.fit;
  together.query.by.clear();
  together.intervals = "none";
  Table chosen = table;
  if (!words.curves.empty()) {
    const std::size_t column = table.Find(words.fit.query.by.front());
    chosen.rows.clear();
    chosen.labels.clear();
    for (std::size_t r = 0; r < table.rows.size(); ++r) {
      if (std::find(names.begin(), names.end(), table.rows[r][column]) == names.end()) continue;
      chosen.rows.push_back(table.rows[r]);
      chosen.labels.push_back(table.labels[r]);
    }
  }
  const FittedGroups fitted = FitGroups(chosen, together);
  if (!fitted.outcomes.front().report)
    throw Failure(FailureCode::kData, fitted.outcomes.front().failure);
  return *fitted.outcomes.front().report;
}

void Adjust(LawComparison& comparison, const std::string& how) {
  std::vector<double> p;
  for (const LawPair& pair : comparison.pairs) {
    for (const ParameterDifference& d : pair.parameters) p.push_back(d.p);
  }
  const std::vector<double> adjusted = how == "bh"     ? BenjaminiHochbergAdjusted(p)
                                       : how == "none" ? p
                                                       : HolmAdjusted(p);
  comparison.tests = p.size();
  auto next = adjusted.begin();
  for (LawPair& pair : comparison.pairs) {
    for (std::size_t k = 0; k < pair.parameters.size(); ++k) pair.adjusted.push_back(*next++);
  }
}

LawComparison Compare(const GlobalOptions& global, const CompareWords& words) {
  if (words.fit.query.map.empty() || words.fit.query.by.size() != 1) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format(
            "compare --law {} needs --map and --by with one column, the one whose values are "
            "compared; one set at a time, chosen with --where",
            words.fit.law));
  }
  const Table table = LoadRows(global, words.fit);
  const FittedGroups fitted = FitGroups(table, words.fit);
  LawComparison comparison;
  std::vector<std::string> names;
  for (std::size_t g = 0; g < fitted.groups.size(); ++g) {
    const std::string name = fitted.groups[g].group.begin().value();
    if (!Wanted(words, name)) continue;
    if (!fitted.outcomes[g].report)
      throw Failure(FailureCode::kData, name + ": " + fitted.outcomes[g].failure);
    comparison.fits.push_back({name, *fitted.outcomes[g].report});
    names.push_back(name);
  }
  if (comparison.fits.size() < 2)
    throw Failure(FailureCode::kData, "there are not two groups to compare");
  for (std::size_t a = 0; a < names.size(); ++a) {
    for (std::size_t b = a + 1; b < names.size(); ++b) {
      comparison.pairs.push_back({names[a],
                                  names[b],
                                  CompareParameters(comparison.fits[a].fit, comparison.fits[b].fit),
                                  {}});
    }
  }
  comparison.common = TestCommonLaw(FitTogether(table, words, names), comparison.fits);
  Adjust(comparison, words.adjust);
  return comparison;
}

Json ToJson(const LawComparison& comparison, const CompareWords& words) {
  Json curves = Json::array();
  for (const CurveFit& curve : comparison.fits)
    curves.push_back({{"name", curve.name}, {"fit", ToJson(curve.fit)}});
  Json pairs = Json::array();
  for (const LawPair& pair : comparison.pairs) {
    Json parameters = Json::array();
    for (std::size_t k = 0; k < pair.parameters.size(); ++k) {
      parameters.push_back(sweep::ToJson(pair.parameters[k]));
      parameters.back()["p_adjusted"] = pair.adjusted[k];
    }
    pairs.push_back({{"first", pair.first}, {"second", pair.second}, {"parameters", parameters}});
  }
  return {{"schema", "sweep.compare_laws/1"},
          {"adjustment", words.adjust},
          {"family", fmt::format("the {} tests of two parameters made here", comparison.tests)},
          {"common_law", sweep::ToJson(comparison.common)},
          {"curves", curves},
          {"pairs", pairs}};
}

void Show(const LawComparison& comparison, const CompareWords& words) {
  for (const CurveFit& curve : comparison.fits) Print("{}\n{}", curve.name, FullText(curve.fit));
  if (comparison.common.testable) {
    Print("\none law for all: F({:.0f}, {:.0f}) = {:.3g}, p = {:.3g}\n",
          comparison.common.degrees1,
          comparison.common.degrees2,
          comparison.common.f,
          comparison.common.p);
  }
  std::vector<std::vector<std::string>> rows;
  for (const LawPair& pair : comparison.pairs) {
    for (std::size_t k = 0; k < pair.parameters.size(); ++k) {
      const ParameterDifference& d = pair.parameters[k];
      rows.push_back({pair.first,
                      pair.second,
                      d.parameter,
                      fmt::format("{:.5g}", d.first),
                      fmt::format("{:.5g}", d.second),
                      fmt::format("{:.3g}", d.p),
                      fmt::format("{:.3g}", pair.adjusted[k])});
    }
  }
  if (rows.empty()) return;
  Print("\n{}",
        FormatTable({"first",
                     "second",
                     "parameter",
                     "of first",
                     "of second",
                     "Welch p",
                     "adjusted (" + words.adjust + ")"},
                    rows));
}

}  // namespace

int CompareLaws(const GlobalOptions& global, const CompareWords& words) {
  const LawComparison comparison = Compare(global, words);
  if (global.json) {
    Print("{}\n", ToJson(comparison, words).dump(1));
  } else {
    Show(comparison, words);
  }
  return 0;
}

}  // namespace sweep
