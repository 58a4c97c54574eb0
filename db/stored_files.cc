#include "db/stored_files.h"

#include <string_view>
#include <utility>

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

}  // namespace

StoredSweep ReadStoredSweep(const std::string& path) {
  RunTaker runs(path);
  const Json document =
      ReadJsonStream(path, [&](int depth, Json::parse_event_t event, Json& parsed) {
        return runs.Keep(depth, event, parsed);
      });
  auto stored = FieldsFromJson<StoredSweep>(document, path);
  stored.sweep.runs = runs.Take();
  return stored;
}

}  // namespace sweep
