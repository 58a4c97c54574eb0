#include "orchestrator/point_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "core/failure.h"
#include "fit/weighting.h"
#include "orchestrator/row_expression.h"

namespace sweep {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
const std::vector<std::string> kDefaultKey = {"curve", "task", "eval_dataset", "metric"};
const std::vector<std::string> kObservables = {"E", "L", "drop", "y"};
const std::vector<std::string> kVariables = {"C", "x", "N", "D", "B", "U", "T"};
const std::map<std::string, std::string> kDefaultVariables = {{"C", "compute_gmacs"},
                                                              {"x", "compute_gmacs"},
                                                              {"N", "params"},
                                                              {"D", "samples_seen"},
                                                              {"B", "global_batch_size"},
                                                              {"U", "data_scale"}};

// Settings of a training run by their usual names: looked at for a correlation with compute.
constexpr const char* kSettings[] = {"learning_rate",
                                     "lr",
                                     "global_batch_size",
                                     "batch_size",
                                     "warmup_steps",
                                     "warmup",
                                     "weight_decay"};

[[noreturn]] void Usage(const std::string& message) {
  throw Failure(FailureCode::kUsage, message);
}

// What is computed from each row.
struct Mapping {
  std::vector<std::string> variables;
  std::vector<RowExpression> expressions;
  std::string observable;
  std::optional<RowExpression> value;
};

// C and x are one axis under two names: the law's own is meant.
std::string AsNamedBy(const Law& law, const std::string& name) {
  const auto has = [&](const char* variable) {
    return std::find(law.variables.begin(), law.variables.end(), variable) != law.variables.end();
  };
  if (name == "C" && has("x") && !has("C")) return "x";
  if (name == "x" && has("C") && !has("x")) return "C";
  return name;
}

Mapping ExplicitMapping(const Table& table, const PointQuery& query, const Law& law) {
  Mapping mapping;
  for (const auto& [given, text] : ParseAssignments(query.map, "--map")) {
    const std::string name = AsNamedBy(law, given);
    const std::string option = "--map " + given;
    const auto known = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (known(law.variables) || known(kVariables)) {
      mapping.expressions.emplace_back(table, text, option, mapping.variables);
      mapping.variables.push_back(name);
    } else if (known(kObservables) && !mapping.value) {
      mapping.observable = name;
      mapping.value.emplace(table, text, option, mapping.variables);
    } else {
      Usage(fmt::format(
          "--map names the law's variables ({}) and one observable (E, L, drop or y), not '{}'{}",
          fmt::join(law.variables, ", "),
          name,
          mapping.value ? " beside " + mapping.observable : ""));
    }
  }
  if (!mapping.value)
    Usage("--map needs an observable: E (an error in (0, 1]), L (any positive number), drop or y");
  for (const std::string& variable : law.variables) {
    const auto& have = mapping.variables;
    if (std::find(have.begin(), have.end(), variable) == have.end()) {
      Usage(fmt::format("--map lacks {}: law {} is {}", variable, law.name, law.formula));
    }
  }
  return mapping;
}

Mapping DefaultMapping(const Table& table, const Law& law) {
  Mapping mapping;
  const auto need = [&](const std::string& column) {
    if (!table.Has(column)) {
      Usage(fmt::format(
          "--map is needed: no column '{}' to take a default from; {}", column, ColumnsOf(table)));
    }
  };
  for (const std::string& variable : law.variables) {
    const auto column = kDefaultVariables.find(variable);
    if (column == kDefaultVariables.end())
      Usage(fmt::format("--map is needed: nothing is {} by default", variable));
    need(column->second);
    mapping.expressions.emplace_back(table, column->second, "--map", mapping.variables);
    mapping.variables.push_back(variable);
  }
  need("value");
  mapping.value.emplace(table, "value", "--map", mapping.variables);
  return mapping;
}

struct Sorter {
  std::vector<std::size_t> columns;
  [[nodiscard]] std::vector<std::string> Key(const Table& table, std::size_t row) const {
    std::vector<std::string> key;
    key.reserve(columns.size());
    for (const std::size_t column : columns) key.push_back(table.rows[row][column]);
    return key;
  }
};

Sorter MakeSorter(const Table& table, const PointQuery& query) {
  Sorter sorter;
  for (const std::string& column : query.by)
    sorter.columns.push_back(RequireColumn(table, column, "--by"));
  if (!query.by.empty() || !query.map.empty()) return sorter;
  for (const std::string& column : kDefaultKey) {
    if (table.Has(column)) sorter.columns.push_back(table.Find(column));
  }
  return sorter;
}

// Everything about one call, so that the loop over rows reads as it happens.
class Grouper {
 public:
  Grouper(const Table& table, const PointQuery& query, const Law& law)
      : table_(table),
        query_(query),
        numbers_(table),
        sorter_(MakeSorter(table, query)),
        mapping_(query.map.empty() ? DefaultMapping(table, law)
                                   : ExplicitMapping(table, query, law)) {
    for (const std::string& where : query.where) filters_.emplace_back(table, where);
    if (!query.weights.empty() && !FindWeighting(query.weights))
      weights_.emplace(table, query.weights, "--weights", mapping_.variables);
    curve_ = query.curve.empty() ? kNoColumn : RequireColumn(table, "curve", "--curve");
    metric_ = query.metric.empty() ? kNoColumn : RequireColumn(table, "metric", "--metric");
    metric_of_row_ = query.map.empty() && table.Has("metric") ? table.Find("metric") : kNoColumn;
    kind_ = table.Has("point_kind") ? table.Find("point_kind") : kNoColumn;
    schedule_ = table.Has("schedule") ? table.Find("schedule") : kNoColumn;
    const std::string cluster = !query.cluster.empty() ? query.cluster
                                : table.Has("model")   ? "model"
                                                       : "";
    cluster_ = cluster.empty() ? kNoColumn : RequireColumn(table, cluster, "--cluster");
    const auto optional = [&](const std::string& asked, const char* usual, const char* option) {
      if (!asked.empty()) return RequireColumn(table, asked, option);
      return table.Has(usual) ? table.Find(usual) : kNoColumn;
    };
    sample_size_ = optional(query.sample_size, "sample_size", "--sample-size");
    definition_ = optional("", "compute_definition", "");
    for (const std::string& name : query.covariates)
      covariates_.push_back(RequireColumn(table, name, "--covariates"));
    if (query.covariates.empty()) covariates_ = UsualSettings();
  }

  std::vector<PointGroup> Run() {
    Members members;
    for (std::size_t row = 0; row < table_.rows.size(); ++row) {
      if (curve_ != kNoColumn && table_.rows[row][curve_] != query_.curve) continue;
      if (metric_ != kNoColumn && table_.rows[row][metric_] != query_.metric) continue;
      members.emplace_back(GroupOf(row), row);
    }
    ChooseKinds(members);
    for (const auto& [group, row] : members) AddRow(groups_[group], row);
    std::erase_if(groups_, FilteredAway);
    for (PointGroup& group : groups_) {
      RefuseMixedCompute(group);
      WarnOfMixture(group);
      WarnOfMixedKinds(group);
      if (query_.kind.empty()) WarnOfOtherRecipe(group);
      WarnOfHoles(group);
      WarnOfChoice(group);
      AddSettings(group);
    }
    return std::move(groups_);
  }

 private:
  static constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);
  using Members = std::vector<std::pair<std::size_t, std::size_t>>;  // group and row

  // A group of which the user's own filters leave nothing is not one they asked for.
  static bool FilteredAway(const PointGroup& group) {
    return group.rows.empty() &&
           std::all_of(
               group.excluded.begin(), group.excluded.end(), [](const ExcludedPoint& point) {
                 return point.reason.starts_with("--where") ||
                        point.reason.starts_with("a point of kind");
               });
  }

  // What a group's usual kind is depends on all of its rows.
  void ChooseKinds(const Members& members) {
    if (kind_ == kNoColumn) return;
    std::vector<KindCounts> counts(groups_.size());
    for (const auto& [group, row] : members) {
      if (!RefusingFilter(row)) ++counts[group][table_.rows[row][kind_]];
    }
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      groups_[g].kind = query_.kind.empty() ? UsualKind(counts[g]) : query_.kind;
      groups_[g].kinds_left_out = EndsLeftOut(counts[g], groups_[g].kind);
    }
  }

  std::size_t GroupOf(std::size_t row) {
    const std::vector<std::string> key = sorter_.Key(table_, row);
    const auto [found, added] = index_.try_emplace(key, groups_.size());
    if (added) {
      PointGroup group;
      for (std::size_t k = 0; k < key.size(); ++k)
        group.group[table_.columns[sorter_.columns[k]]] = key[k];
      group.points.variables = mapping_.variables;
      group.points.columns.resize(mapping_.variables.size());
      group.points.observable = Observable(row);
      groups_.push_back(std::move(group));
    }
    return found->second;
  }

  [[nodiscard]] std::string Observable(std::size_t row) const {
    if (!mapping_.observable.empty()) return mapping_.observable;
    const bool error = metric_of_row_ == kNoColumn || IsBoundedUp(table_.rows[row][metric_of_row_]);
    return error ? "E" : "L";
  }

  void AddRow(PointGroup& group, std::size_t row) {
    if (const std::optional<std::string> reason = WhyNot(group, row)) {
      group.excluded.push_back({table_.labels[row], *reason});
      if (reason->starts_with("no ")) group.missing.emplace_back(row, *reason);
      return;
    }
    std::vector<double> variables;
    for (std::size_t v = 0; v < mapping_.expressions.size(); ++v) {
      variables.push_back(mapping_.expressions[v].At(numbers_, row, variables));
      group.points.columns[v].push_back(variables.back());
    }
    double value = mapping_.value->At(numbers_, row, variables);
    if (mapping_.observable.empty() && group.points.observable == "E") value = 1 - value;
    group.points.y.push_back(value);
    if (weights_) group.points.weights.push_back(weights_->At(numbers_, row, variables));
    if (sample_size_ != kNoColumn) group.points.sample_sizes.push_back(SampleSize(row));
    if (cluster_ != kNoColumn) group.points.clusters.push_back(table_.rows[row][cluster_]);
    group.points.labels.push_back(table_.labels[row]);
    group.rows.push_back(row);
  }

  // Not a number where the cell is empty: binomial weights say so, other fits do not need it.
  [[nodiscard]] double SampleSize(std::size_t row) const {
    return NumberIn(table_.rows[row][sample_size_]).value_or(kMissing);
  }

  const RowFilter* RefusingFilter(std::size_t row) {
    for (const RowFilter& filter : filters_) {
      if (!filter.Keeps(table_, numbers_, row)) return &filter;
    }
    return nullptr;
  }

  std::optional<std::string> WhyNot(const PointGroup& group, std::size_t row) {
    if (const RowFilter* filter = RefusingFilter(row)) return "--where " + filter->text();
    const bool any_kind = kind_ == kNoColumn || group.kind == "all";
    if (!any_kind && !table_.rows[row][kind_].empty() && table_.rows[row][kind_] != group.kind)
      return fmt::format("a point of kind {}, not {}", table_.rows[row][kind_], group.kind);
    for (const RowExpression& expression : mapping_.expressions) {
      if (const auto column = expression.Missing(numbers_, row)) return "no " + *column;
    }
    if (const auto column = mapping_.value->Missing(numbers_, row)) return "no " + *column;
    if (weights_) {
      if (const auto column = weights_->Missing(numbers_, row)) return "no " + *column;
    }
    return std::nullopt;
  }

  // Columns that are settings of a training run by their usual names and that no variable is made
  // from.
  [[nodiscard]] std::vector<std::size_t> UsualSettings() const {
    std::set<std::string> used;
    for (const RowExpression& expression : mapping_.expressions) expression.AddColumns(used);
    std::vector<std::size_t> columns;
    for (const char* name : kSettings) {
      if (table_.Has(name) && !used.contains(name)) columns.push_back(table_.Find(name));
    }
    return columns;
  }

  // Settings that are numbers in every row of the group and that vary.
  void AddSettings(PointGroup& group) const {
    for (const std::size_t column : covariates_) {
      Covariate setting{.name = table_.columns[column], .values = {}};
      for (const std::size_t row : group.rows) {
        const std::optional<double> value = NumberIn(table_.rows[row][column]);
        if (!value || !std::isfinite(*value)) break;
        setting.values.push_back(*value);
      }
      if (setting.values.size() != group.rows.size() || group.rows.empty()) continue;
      const auto [low, high] = std::minmax_element(setting.values.begin(), setting.values.end());
      if (*low < *high) group.points.covariates.push_back(std::move(setting));
    }
  }

  [[nodiscard]] std::map<std::string, std::size_t> Counted(const PointGroup& group,
                                                           std::size_t column) const {
    std::map<std::string, std::size_t> counts;
    for (const std::size_t row : group.rows) ++counts[table_.rows[row][column]];
    return counts;
  }

  // MACs, FLOPs, with or without embeddings: one law has one definition of compute.
  void RefuseMixedCompute(const PointGroup& group) const {
    if (definition_ == kNoColumn) return;
    const auto counts = Counted(group, definition_);
    if (counts.size() < 2) return;
    std::string text;
    for (const auto& [name, count] : counts)
      text += fmt::format("{}'{}' ({} rows)", text.empty() ? "" : ", ", name, count);
    throw Failure(
        FailureCode::kData,
        fmt::format("{}: compute_definition is {}: compute counted in several ways is not "
                    "one variable; keep one with --where or --by compute_definition",
                    table_.origin,
                    text));
  }

  void WarnOfMixedKinds(PointGroup& group) const {
    if (!table_.Has("point_kind")) return;
    const auto counts = Counted(group, table_.Find("point_kind"));
    if (counts.contains("intermediate"))
      group.warnings.push_back(
          "learning-curve points of one run are not independent: resample whole runs "
          "(--cluster run --intervals bootstrap:1000:cluster)");
    if (counts.size() < 2) return;
    std::string text;
    for (const auto& [kind, count] : counts)
      text += fmt::format(
          "{}{} ({})", text.empty() ? "" : ", ", kind.empty() ? "unmarked" : kind, count);
    group.warnings.push_back(fmt::format(
        "points of different kinds are mixed: {}; their errors are not of one law", text));
  }

  // Of whole recipes there are two kinds. That one of them was taken unasked is for the reader to
  // judge; a trunk that is left out is no loss.
  static void WarnOfOtherRecipe(PointGroup& group) {
    KindCounts others = group.kinds_left_out;
    others.erase("trunk");
    if (others.empty() || group.rows.empty()) return;
    group.warnings.push_back(
        fmt::format("points of kind {} are fitted and {} left out: `kind` chooses, and all mixes "
                    "them",
                    group.kind,
                    KindCountsText(others)));
  }

  // Cells without a result are rarely missing at random: the largest models run out of memory.
  void WarnOfHoles(PointGroup& group) const {
    std::map<std::string, std::size_t> holes;
    std::size_t count = 0;
    const std::size_t model = table_.Has("model") ? table_.Find("model") : kNoColumn;
    for (const auto& [row, reason] : group.missing) {
      ++count;
      if (model != kNoColumn) ++holes[table_.rows[row][model]];
    }
    const std::size_t curve = table_.Find("curve");
    const auto known = curve < table_.columns.size() && !group.rows.empty()
                           ? table_.holes.find(table_.rows[group.rows.front()][curve])
                           : table_.holes.end();
    if (known != table_.holes.end())
      group.warnings.push_back("runs of this curve have no result: " + known->second +
                               "; failed runs are not missing at random");
    if (count == 0) return;
    std::string text;
    for (const auto& [name, of_model] : holes)
      text += fmt::format("{}{} ({})", text.empty() ? " by model: " : ", ", name, of_model);
    group.warnings.push_back(
        fmt::format("{} of {} rows have no value and are left out{}{}: failed runs are not missing "
                    "at random",
                    count,
                    count + group.rows.size(),
                    text.empty() ? "" : ",",
                    text));
  }

  // Runs chosen by what earlier ones said are no design fixed beforehand.
  void WarnOfChoice(PointGroup& group) const {
    if (!table_.Has("chosen")) return;
    const auto counts = Counted(group, table_.Find("chosen"));
    const auto chosen = counts.find("1");
    if (chosen == counts.end()) return;
    group.warnings.push_back(
        fmt::format("{} of {} points are of runs chosen by the results of earlier ones: the "
                    "intervals take the choice as made beforehand",
                    chosen->second,
                    group.rows.size()));
  }

  void WarnOfMixture(PointGroup& group) const {
    if (schedule_ == kNoColumn) return;
    std::set<std::string> schedules;
    for (const std::size_t row : group.rows) schedules.insert(table_.rows[row][schedule_]);
    if (schedules.size() < 2) return;
    group.warnings.push_back(
        fmt::format("the points mix learning-rate schedules ({}): their errors are not of one law",
                    fmt::join(schedules, ", ")));
  }

  const Table& table_;
  const PointQuery& query_;
  NumberColumns numbers_;
  Sorter sorter_;
  Mapping mapping_;
  std::vector<RowFilter> filters_;
  std::optional<RowExpression> weights_;
  std::size_t curve_, metric_, metric_of_row_, kind_, schedule_, cluster_, sample_size_,
      definition_;
  std::vector<std::size_t> covariates_;
  std::map<std::vector<std::string>, std::size_t> index_;
  std::vector<PointGroup> groups_;
};

}  // namespace

std::vector<Assignment> ParseAssignments(const std::string& text, const std::string& option) {
  std::vector<std::string> parts(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      quote = c == quote ? '\0' : quote;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else {
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    if (c == ',' && depth == 0 && quote == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  std::vector<Assignment> assignments;
  for (const std::string& part : parts) {
    const std::size_t sign = part.find('=');
    if (sign == std::string::npos || sign == 0 || sign + 1 == part.size()) {
      Usage(fmt::format("{} '{}': expected NAME=VALUE", option, part));
    }
    std::string name = part.substr(0, sign);
    std::string value = part.substr(sign + 1);
    std::erase(name, ' ');
    if (value.size() > 2 && value.front() == '\'' && value.back() == '\'')
      value = value.substr(1, value.size() - 2);
    assignments.push_back({name, value});
  }
  return assignments;
}

bool IsObservable(const std::string& name) {
  return std::find(kObservables.begin(), kObservables.end(), name) != kObservables.end();
}

bool IsMainMetric(const std::string& metric) {
  return metric == "acc1" || metric == "image_retrieval_recall@5";
}

bool IsBoundedUp(const std::string& metric) {
  for (const char* word : {"acc", "recall", "precision", "map", "auc", "f1"}) {
    if (metric.find(word) != std::string::npos) return true;
  }
  return false;
}

std::vector<PointGroup> MakeGroups(const Table& table, const PointQuery& query, const Law& law) {
  return Grouper(table, query, law).Run();
}

void TellOfGroup(const PointGroup& group, FitReport& report) {
  report.group = group.group;
  report.kind = group.kind;
  report.kinds_left_out = group.kinds_left_out;
  report.excluded.insert(report.excluded.begin(), group.excluded.begin(), group.excluded.end());
  report.warnings.insert(report.warnings.begin(), group.warnings.begin(), group.warnings.end());
}

}  // namespace sweep
