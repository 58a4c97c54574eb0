#include "orchestrator/sweep_file/run_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/failure.h"

namespace sweep {
namespace {

constexpr size_t kMostRuns = 1'000'000;

std::vector<std::string> ExpressionNames() {
  std::vector<std::string> names = DerivedNames();
  for (const Field& field : RunFields()) {
    if (field.numeric()) names.emplace_back(field.name);
  }
  return names;
}

class RulesReader {
 public:
  RulesReader(const FieldReader& reader, const Json& document)
      : reader_(reader), document_(document) {}

  RunRules Read() {
    ReadGrid();
    if (document_.contains("generate"))
      rules_.generate = ReadGridGenerator(reader_, document_["generate"], "/generate");
    if (const Json* fixed = ObjectMember("fixed")) rules_.fixed = ReadGiven(*fixed, "/fixed");
    ReadDerive();
    ReadInclude();
    ReadExclude();
    CheckSize();
    CheckGivenOnce();
    CheckNoFieldNeedsItself();
    return std::move(rules_);
  }

 private:
  [[nodiscard]] const Json* ObjectMember(const char* name) const {
    return reader_.ObjectMember(document_, name, "an object of run fields");
  }
  [[nodiscard]] const Json* ArrayMember(const char* name) const {
    return reader_.ArrayMember(document_, name, "an array of objects of run fields");
  }

  // Index of the run field called `key`, or a problem and the number of fields.
  [[nodiscard]] size_t KnownField(const std::string& key, const std::string& pointer) const {
    const size_t index = IndexOfField(RunFields(), key);
    if (index == RunFields().size()) {
      const auto known = FieldNames(RunFields());
      const std::string hint = DidYouMean(key, known);
      const std::string expected = fmt::format(", expected a run field: {}", ListOfNames(known));
      reader_.Error(pointer,
                    fmt::format("field '{}' is not known{}", key, hint.empty() ? expected : hint));
    }
    return index;
  }

  [[nodiscard]] std::vector<GivenValue> ReadGiven(const Json& object,
                                                  const std::string& pointer) const {
    std::vector<GivenValue> given;
    for (const auto& [key, value] : object.items()) {
      const std::string at = PointerTo(pointer, key);
      const size_t field = KnownField(key, at);
      if (field == RunFields().size()) continue;
      if (auto read = reader_.ReadValue(RunFields()[field], value, at))
        given.push_back({field, std::move(*read), at});
    }
    return given;
  }

  [[nodiscard]] std::vector<Json> ReadValues(size_t field,
                                             const Json& values,
                                             const std::string& pointer) const {
    std::vector<Json> read;
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string at = PointerTo(pointer, i);
      auto value = reader_.ReadValue(RunFields()[field], values[i], at);
      if (!value) continue;
      if (std::find(read.begin(), read.end(), *value) != read.end()) {
        reader_.Error(at, fmt::format("value {} is given twice", ShownValue(values[i])));
      }
      read.push_back(std::move(*value));
    }
    return read;
  }

  void ReadGrid() {
    const Json* grid = ObjectMember("grid");
    if (grid == nullptr) return;
    for (const auto& [key, values] : grid->items()) {
      const std::string at = PointerTo("/grid", key);
      const size_t field = KnownField(key, at);
      if (field == RunFields().size()) continue;
      if (!values.is_array() || values.empty()) {
        reader_.Reject(values, at, "an array of at least one value");
        continue;
      }
      rules_.grid.push_back({field, ReadValues(field, values, at)});
    }
  }

  // Before anything of that size is made.
  void CheckSize() const {
    size_t size = rules_.GridSize();
    if (const auto& generate = rules_.generate) {
      const LogRange& range =
          generate->samples_seen ? *generate->samples_seen : *generate->compute_gmacs;
      size *= generate->models.size() * static_cast<size_t>(range.count);
    }
    if (size <= kMostRuns) return;
    reader_.Error(rules_.generate ? "/generate" : "/grid",
                  fmt::format("more than {} runs", kMostRuns));
  }

  void ReadDerive() {
    const Json* derive = ObjectMember("derive");
    if (derive == nullptr) return;
    for (const auto& [key, text] : derive->items()) {
      const std::string at = PointerTo("/derive", key);
      const size_t field = KnownField(key, at);
      if (field == RunFields().size()) continue;
      if (!RunFields()[field].numeric()) {
        reader_.Error(at, fmt::format("field '{}' is not a number and cannot be derived", key));
      } else if (!text.is_string()) {
        reader_.Reject(text, at, "an expression, as \"1e-4 * global_batch_size / 256\"");
      } else {
        ReadExpression(field, text.get<std::string>(), at);
      }
    }
  }

  void ReadExpression(size_t field, const std::string& text, const std::string& pointer) {
    try {
      Expression expression(text);
      const auto known = ExpressionNames();
      for (const std::string& name : expression.names()) {
        if (std::find(known.begin(), known.end(), name) != known.end()) continue;
        reader_.Error(pointer,
                      fmt::format("expression '{}': name '{}' is not known, expected {}{}",
                                  text,
                                  name,
                                  ListOfNames(known),
                                  DidYouMean(name, known)));
        return;
      }
      rules_.derive.push_back({field, std::move(expression), pointer});
    } catch (const Failure& failure) {
      reader_.Error(pointer, failure.what());
    }
  }

  void ReadInclude() {
    const Json* include = ArrayMember("include");
    if (include == nullptr) return;
    for (size_t i = 0; i < include->size(); ++i) {
      const std::string at = PointerTo("/include", i);
      if (!reader_.IsObject((*include)[i], at, "an object of run fields")) continue;
      rules_.include.push_back({ReadGiven((*include)[i], at), at});
    }
  }

  void ReadExclude() {
    const Json* exclude = ArrayMember("exclude");
    if (exclude == nullptr) return;
    for (size_t i = 0; i < exclude->size(); ++i) {
      const std::string at = PointerTo("/exclude", i);
      const Json& fields = (*exclude)[i];
      if (!fields.is_object() || fields.empty()) {
        reader_.Reject(fields, at, "an object of at least one run field");
        continue;
      }
      rules_.exclude.push_back(ReadExclusion(fields, at));
    }
  }

  [[nodiscard]] Exclusion ReadExclusion(const Json& fields, const std::string& pointer) const {
    Exclusion exclusion{{}, pointer};
    for (const auto& [key, value] : fields.items()) {
      const std::string at = PointerTo(pointer, key);
      const size_t field = KnownField(key, at);
      if (field == RunFields().size()) continue;
      if (RunFields()[field].type == FieldType::kStart) {
        reader_.Error(at, "runs cannot be excluded by 'start'");
      } else if (value.is_array()) {
        exclusion.fields.push_back({field, ReadValues(field, value, at)});
      } else if (auto read = reader_.ReadValue(RunFields()[field], value, at)) {
        exclusion.fields.push_back({field, {std::move(*read)}});
      }
    }
    return exclusion;
  }

  void CheckGivenOnce() const {
    std::map<size_t, std::string> given;
    const auto check = [&](size_t field, const std::string& pointer) {
      const auto [first, inserted] = given.emplace(field, pointer);
      if (inserted) return;
      reader_.Error(pointer,
                    fmt::format("field '{}' is given in {} already: one place decides it",
                                RunFields()[field].name,
                                first->second));
    };
    for (const GridAxis& axis : rules_.grid) {
      check(axis.field, PointerTo("/grid", RunFields()[axis.field].name));
    }
    if (rules_.generate) {
      if (rules_.generate->compute_gmacs) CheckLengthsKnown();
      check(IndexOfField(RunFields(), "model"), "/generate");
      check(IndexOfField(RunFields(), "samples_seen"), "/generate");
      if (rules_.generate->cooldown_share) {
        check(IndexOfField(RunFields(), "schedule"), "/generate/cooldown_share");
        check(IndexOfField(RunFields(), "start"), "/generate/cooldown_share");
      }
    }
    for (const GivenValue& value : rules_.fixed) check(value.field, value.pointer);
    for (const DerivedField& derived : rules_.derive) check(derived.field, derived.pointer);
  }

  // Lengths that a compute pays for are those of the models as they are named.
  void CheckLengthsKnown() const {
    for (const char* name : {"image_size", "context_length", "patch_dropout"}) {
      const size_t field = IndexOfField(RunFields(), name);
      const auto decides = [&](const auto& entry) { return entry.field == field; };
      if (std::ranges::any_of(rules_.grid, decides) || std::ranges::any_of(rules_.fixed, decides) ||
          std::ranges::any_of(rules_.derive, decides)) {
        reader_.Error("/generate/compute_gmacs",
                      fmt::format("cannot be combined with {}, which changes what a sample costs: "
                                  "define models of that size instead",
                                  name));
      }
    }
  }

  // Follows derived fields to what they need; `path` holds the names on the way here.
  void Follow(const DerivedField& derived, std::vector<std::string>& path) const {
    const std::string name(RunFields()[derived.field].name);
    const bool returned = std::find(path.begin(), path.end(), name) != path.end();
    path.push_back(name);
    if (returned) {
      if (path.front() == name) {
        reader_.Error(derived.pointer,
                      fmt::format("expression needs itself: {}", fmt::join(path, " → ")));
      }
    } else {
      for (const std::string& needed : derived.expression.names()) FollowName(needed, path);
    }
    path.pop_back();
  }

  void FollowName(const std::string& name, std::vector<std::string>& path) const {
    if (name == "steps") {
      FollowName("samples_seen", path);
      FollowName("global_batch_size", path);
      return;
    }
    for (const DerivedField& derived : rules_.derive) {
      if (RunFields()[derived.field].name == name) Follow(derived, path);
    }
  }

  void CheckNoFieldNeedsItself() const {
    for (const DerivedField& derived : rules_.derive) {
      std::vector<std::string> path;
      Follow(derived, path);
    }
  }

  const FieldReader& reader_;
  const Json& document_;
  RunRules rules_;
};

}  // namespace

size_t RunRules::GridSize() const {
  if (grid.empty()) return include.empty() || generate ? 1 : 0;
  size_t size = 1;
  for (const GridAxis& axis : grid) size = std::min(size * axis.values.size(), kMostRuns + 1);
  return size;
}

RunRules ReadRunRules(const FieldReader& reader, const Json& document) {
  return RulesReader(reader, document).Read();
}

const std::vector<std::string>& DerivedNames() {
  static const std::vector<std::string> names = {"steps", "params", "gmacs_per_sample"};
  return names;
}

}  // namespace sweep
