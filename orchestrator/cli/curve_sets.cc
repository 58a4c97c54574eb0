#include <fmt/format.h>

#include <algorithm>

#include "core/failure.h"
#include "db/store.h"
#include "orchestrator/cli/fit_curves.h"

namespace sweep {
namespace {

std::string Text(const Json& value) {
  return value.get<std::string>();
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class CurveCollector {
 public:
  CurveCollector(const GlobalOptions& global,
                 const FitWords& words,
                 const std::vector<std::string>& names)
      : words_(words), names_(names) {
    if (words_.table.empty() && !Store::Exists(global.store)) return;
    own_ = LoadRows(global, words_);
  }

  std::vector<CurvePoints> Run() {
    if (!words_.query.map.empty()) {
      AddMappedCurves();
      return std::move(curves_);
    }
    published_ = LoadPublishedCurves();
    for (const std::string& name : CurveNames()) AddCurve(name);
    return std::move(curves_);
  }

 private:
  [[nodiscard]] std::vector<std::string> OwnCurves() const {
    std::vector<std::string> names;
    if (!own_ || !own_->Has("curve")) return names;
    for (const auto& row : own_->rows) {
      const std::string& name = row[own_->Find("curve")];
      if (!Contains(names, name)) names.push_back(name);
    }
    return names;
  }

  [[nodiscard]] std::vector<std::string> CurveNames() const {
    if (!names_.empty()) return names_;
    const std::vector<std::string> own = OwnCurves();
    return own.size() >= 2 ? own : std::vector<std::string>{"openai", "laion"};
  }

  // A curve of one's own table or store comes before a published one of the same name.
  void AddCurve(const std::string& name) {
    const std::vector<std::string> own = OwnCurves();
    if (Contains(own, name)) {
      Curve curve;
      curve.name = name;
      curve.where = {{"curve", {name}}};
      curves_.push_back(PointsOfCurve(*own_, curve, published_, words_));
      return;
    }
    std::string known;
    for (const Curve& curve : published_.curves) {
      if (curve.name == name) {
        curves_.push_back(PointsOfCurve(published_.rows, curve, published_, words_));
        return;
      }
      known += (known.empty() ? "" : ", ") + curve.name;
    }
    for (const std::string& other : own) known += ", " + other;
    throw Failure(FailureCode::kUsage,
                  fmt::format("there is no curve '{}'; there are {}", name, known));
  }

  // Any table: the first column of --by names the curve, further ones the evaluation set.
  void AddMappedCurves() {
    const PointQuery& query = words_.query;
    if (!own_)
      throw Failure(FailureCode::kUsage, "--map needs --table FILE, or a store to map columns of");
    std::vector<std::string> found;
    for (PointGroup& group : MakeGroups(*own_, query, FindLaw("power"))) {
      const std::string name =
          query.by.empty() ? "all points" : Text(group.group.at(query.by.front()));
      if (!Contains(found, name)) found.push_back(name);
      if (!names_.empty() && !Contains(names_, name)) continue;
      AddMapped(name, std::move(group));
    }
    for (const std::string& name : names_) {
      if (Contains(found, name)) continue;
      throw Failure(
          FailureCode::kUsage,
          fmt::format("no curve of --by is '{}'; there are {}", name, fmt::join(found, ", ")));
    }
  }

  void AddMapped(const std::string& name, PointGroup group) {
    auto curve = std::find_if(curves_.begin(), curves_.end(), [&](const CurvePoints& points) {
      return points.cells.front().curve == name;
    });
    if (curve == curves_.end()) {
      curves_.push_back({.rows = *own_, .cells = {}});
      curve = curves_.end() - 1;
    }
    CurveCell cell;
    cell.curve = name;
    for (std::size_t k = 1; k < words_.query.by.size(); ++k)
      cell.eval_dataset += (k > 1 ? ", " : "") + Text(group.group.at(words_.query.by[k]));
    cell.metric = group.points.observable;
    cell.select = words_.select.empty() ? "all" : words_.select;
    cell.group = std::move(group);
    curve->cells.push_back(std::move(cell));
  }

  const FitWords& words_;
  const std::vector<std::string>& names_;
  PublishedCurves published_;
  std::optional<Table> own_;
  std::vector<CurvePoints> curves_;
};

bool SameSet(const CurveCell& a, const CurveCell& b) {
  return a.task == b.task && a.eval_dataset == b.eval_dataset && a.metric == b.metric;
}

}  // namespace

std::vector<CurvePoints> CollectCurves(const GlobalOptions& global,
                                       const FitWords& words,
                                       const std::vector<std::string>& names) {
  return CurveCollector(global, words, names).Run();
}

std::vector<CellMembers> CellsOfCurves(const std::vector<CurvePoints>& curves) {
  std::vector<CellMembers> sets;
  for (const CurvePoints& curve : curves) {
    for (const CurveCell& cell : curve.cells) {
      auto set = std::find_if(sets.begin(), sets.end(), [&](const CellMembers& members) {
        return SameSet(*members.front().cell, cell);
      });
      if (set == sets.end()) set = sets.insert(sets.end(), CellMembers());
      set->push_back({&curve, &cell});
    }
  }
  return sets;
}

}  // namespace sweep
