#include "orchestrator/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "db/lease.h"
#include "orchestrator/progress.h"
#include "orchestrator/retry_request.h"
#include "orchestrator/text_table.h"

namespace sweep {
namespace {

constexpr const char* kDefault = "(default)";

std::string TextOf(const Json& flat, const std::string& field) {
  const auto found = flat.find(field);
  if (found == flat.end()) return kDefault;
  return found->is_string() ? found->get<std::string>() : found->dump();
}

Json SpecOf(const Store& store, const std::string& run_id) {
  const QueryTable found = store.Query("SELECT spec FROM runs WHERE run_id = ?1", {run_id});
  return Json::parse(found.rows.at(0).at(0));
}

std::optional<double> ParseNumber(const std::string& text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// How far apart two values of a field are: numbers by their ratio, so that 1,024 is nearer to 2,048
// than 512 is; anything else, zero and a default included, as far as a factor of e.
double Distance(const SpecDifference& d) {
  const std::optional<double> ours = ParseNumber(d.ours), theirs = ParseNumber(d.theirs);
  if (!ours || !theirs || *ours <= 0 || *theirs <= 0) return 1;
  return std::abs(std::log(*ours / *theirs));
}

std::pair<size_t, double> DistanceOf(const Sibling& sibling) {
  double sum = 0;
  for (const SpecDifference& d : sibling.differences) sum += Distance(d);
  return {sibling.differences.size(), sum};
}

// The last reason of a change of state; empty when nothing has happened to the run yet.
std::string LastReason(const Store& store, const std::string& run_id) {
  const QueryTable found = store.Query(
      "SELECT reason FROM transitions WHERE run_id = ?1 ORDER BY transition_id DESC LIMIT 1",
      {run_id});
  return found.rows.empty() ? "" : found.rows[0][0];
}

// What its latest attempt failed with, for a run that `sweep retry` planned again.
std::string WhyRetried(const Store& store, const std::string& run_id) {
  const QueryTable found = store.Query(
      "SELECT attempt, coalesce(outcome, ''), failure_class, message FROM attempts "
      "WHERE run_id = ?1 ORDER BY attempt DESC LIMIT 1",
      {run_id});
  const std::string goes_on = "the next `sweep run` starts it again";
  if (found.rows.empty()) return fmt::format("`sweep retry` asked for it: {}.", goes_on);
  const auto& attempt = found.rows[0];
  const std::string failed = attempt[1] == "failed" ? "It failed" : "It ended";
  return fmt::format("{} in attempt {} ({}){}, and `sweep retry` asked for another: {}.",
                     failed,
                     attempt[0],
                     attempt[2].empty() ? attempt[1] : attempt[2],
                     attempt[3].empty() ? "" : ": " + attempt[3],
                     goes_on);
}

std::string WhyPlanned(const Store& store, const std::string& run_id) {
  const Json start = SpecOf(store, run_id).value("start", Json::object());
  const std::string parent = start.value("run_id", "");
  if (const auto record = parent.empty() ? std::nullopt : store.FindRun(parent)) {
    if (record->state != RunState::kCompleted) {
      return fmt::format("It waits for run {}, from which it starts and which is {}{}.",
                         parent,
                         ToString(record->state),
                         CanBeRetried(record->state) ? ": `sweep retry` that one first" : "");
    }
  }
  const std::string reason = LastReason(store, run_id);
  if (reason.empty())
    return "It has not been started yet; `sweep run` starts it when it is its turn.";
  if (reason == kRetryReason) return WhyRetried(store, run_id);
  return fmt::format(
      "It was at work before ({}) and goes on from its newest checkpoint at the next `sweep run`.",
      reason);
}

// Of a process that `sweep` started itself, when that one has gone: it went too.
bool IsLeftBehind(const Store& store, const std::string& run_id) {
  if (LeaseHolder(store.root())) return false;
  const auto open = store.OpenAttempts();
  return std::none_of(open.begin(), open.end(), [&](const OpenAttempt& attempt) {
    return attempt.run_id == run_id && !attempt.job.empty();
  });
}

std::string WhyAtWork(const Store& store, const std::string& run_id, RunState state) {
  if (IsLeftBehind(store, run_id)) {
    return fmt::format(
        "It was {} when the `sweep run` that had the store ended without a word; the next one "
        "takes "
        "it up from its newest checkpoint.",
        ToString(state));
  }
  std::string text = fmt::format("It is {}: {}.", ToString(state), LastReason(store, run_id));
  if (const auto progress = store.LatestProgress(run_id); state == RunState::kRunning && progress) {
    text += fmt::format(" It has seen {} samples of its segment, {} a second, loss {}.",
                        HumanCount(static_cast<double>(progress->samples_seen)),
                        HumanCount(progress->samples_per_second),
                        progress->loss ? fmt::format("{:.4g}", *progress->loss) : "not finite");
  }
  return text;
}

}  // namespace

std::vector<SpecDifference> CompareSpecs(const Json& ours, const Json& theirs) {
  const Json flat_ours = ours.flatten();
  const Json flat_theirs = theirs.flatten();
  std::map<std::string, SpecDifference> differences;
  for (const Json* flat : {&flat_ours, &flat_theirs}) {
    for (const auto& [field, value] : flat->items()) {
      SpecDifference difference{field, TextOf(flat_ours, field), TextOf(flat_theirs, field)};
      if (difference.ours != difference.theirs) differences[field] = std::move(difference);
    }
  }
  std::vector<SpecDifference> list;
  for (auto& [field, difference] : differences) list.push_back(std::move(difference));
  return list;
}

std::optional<Sibling> NearestSibling(const Store& store, const std::string& run_id) {
  const Json ours = SpecOf(store, run_id);
  std::optional<Sibling> nearest;
  for (const auto& row :
       store.Query("SELECT run_id, spec FROM runs WHERE run_id <> ?1 ORDER BY run_id", {run_id})
           .rows) {
    Sibling sibling{row[0], CompareSpecs(ours, Json::parse(row[1]))};
    if (!nearest || DistanceOf(sibling) < DistanceOf(*nearest)) nearest = std::move(sibling);
  }
  return nearest;
}

std::string WhyInState(const Store& store, const std::string& run_id) {
  const RunRecord run = store.FindRun(run_id).value();
  switch (run.state) {
    case RunState::kPlanned:
      return WhyPlanned(store, run_id);
    case RunState::kSubmitting:
    case RunState::kQueued:
    case RunState::kRunning:
      return WhyAtWork(store, run_id, run.state);
    case RunState::kCompleted:
      return fmt::format("It is completed: {}. It never runs again.", LastReason(store, run_id));
    case RunState::kDiverged:
      return fmt::format(
          "Its loss was not finite: {}. That is a result; `sweep retry {}` tries it again.",
          run.message.empty() ? LastReason(store, run_id) : run.message,
          run_id.substr(0, 8));
    case RunState::kFailed:
    case RunState::kCancelled:
      return fmt::format("It is {} ({}): {}. `sweep retry {}` tries it again.",
                         ToString(run.state),
                         run.failure_class,
                         run.message,
                         run_id.substr(0, 8));
  }
  return "";
}

}  // namespace sweep
