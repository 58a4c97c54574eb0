#include "db/stored_files.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "core/canonical_fields.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"

namespace sweep {
namespace {

// Takes the elements of `sweep.runs` out of a document while it is parsed.
class RunTaker {
 public:
  explicit RunTaker(const std::string& path) : path_(path) {}

  /// Json::parser_callback_t: false leaves the value out of the document.
  bool Keep(int depth, Json::parse_event_t event, const Json& parsed) {
    constexpr int kRun = 3;  // document, sweep, runs
    if (event == Json::parse_event_t::key && depth == 1) in_sweep_ = parsed == "sweep";
    if (event == Json::parse_event_t::key && depth == 2) in_runs_ = in_sweep_ && parsed == "runs";
    if (event != Json::parse_event_t::object_end || depth != kRun || !in_runs_) return true;
    runs_.push_back(FieldsFromJson<RunRow>(parsed, path_));
    return false;
  }
  [[nodiscard]] std::vector<RunRow> Take() { return std::move(runs_); }

 private:
  const std::string& path_;
  bool in_sweep_ = false;
  bool in_runs_ = false;
  std::vector<RunRow> runs_;
};

// These files are named by the hash of what they say.
void RequireId(const std::filesystem::path& path,
               const std::string& named,
               const std::string& said,
               const std::string& found) {
  if (named == found && said == found) return;
  throw Malformed(fmt::format(
      "{}: damaged: its content has the id {}, not that of its name", path.string(), found));
}

}  // namespace

std::string SweepIdOf(SweepRow& sweep) {
  const std::string id = std::exchange(sweep.sweep_id, "");
  std::string hash = ContentIdOfText(CanonicalFieldsInPieces(sweep));
  sweep.sweep_id = id;
  return hash;
}

std::string ImportIdOf(const StoredImport& import) {
  return ContentId(FieldsToJson(import).at("points"));
}

StoredSweep ReadStoredSweep(const std::filesystem::path& path) {
  const std::string name = path.string();
  RunTaker runs(name);
  const Json document =
      ReadJsonStream(name, [&](int depth, Json::parse_event_t event, Json& parsed) {
        return runs.Keep(depth, event, parsed);
      });
  auto stored = FieldsFromJson<StoredSweep>(document, name);
  stored.sweep.runs = runs.Take();
  RequireId(path, path.stem().string(), stored.sweep.sweep_id, SweepIdOf(stored.sweep));
  return stored;
}

StoredImport ReadStoredImport(const std::filesystem::path& path) {
  const std::string name = path.string();
  auto stored = FieldsFromJson<StoredImport>(ParseJson(ReadFile(path), name), name);
  RequireId(
      path, path.parent_path().filename().string(), stored.import_id, ImportIdOf(stored));
  return stored;
}

}  // namespace sweep
