#include "orchestrator/sweep_file/link_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/failure.h"
#include "core/hash.h"

namespace sweep {
namespace {

class Linker {
 public:
  Linker(const SweepFile& file, const std::vector<RunDraft>& drafts, ProblemList& problems)
      : file_(file), drafts_(drafts), problems_(problems), links_(drafts.size()) {}

  std::optional<std::vector<RunLink>> Link() {
    const size_t errors_before = problems_.errors();
    for (size_t i = 0; i < drafts_.size(); ++i) LinkOne(i);
    if (problems_.errors() == errors_before) CheckNoCycles();
    if (problems_.errors() > errors_before) return std::nullopt;
    return std::move(links_);
  }

 private:
  void LinkOne(size_t child) {
    const Json& start = drafts_[child].Value("start");
    if (!start.is_object()) return;
    if (start.contains("from")) {
      LinkParent(start, child);
      return;
    }
    StartSpec& files = links_[child].files;
    LinkFile(start.value("file", ""), child, files.file);
    LinkFile(start.value("vision_file", ""), child, files.vision_file);
    LinkFile(start.value("text_file", ""), child, files.text_file);
  }

  void LinkFile(const std::string& given, size_t child, std::string& content_of_run) {
    if (given.empty()) return;
    const std::string path =
        std::filesystem::absolute(file_.folder / given).lexically_normal().string();
    std::string& content = contents_[path];
    try {
      if (content.empty()) content = ContentIdOfFile(path);
      content_of_run = content;
      links_[child].paths[content] = path;
    } catch (const Failure& failure) {
      Error(child, failure.what());
    }
  }

  void LinkParent(const Json& start, size_t child) {
    const std::vector<size_t> candidates = Candidates(start["from"], child);
    if (candidates.size() != 1) {
      Error(child, WhyNotOne(candidates, child));
      return;
    }
    const RunSpec& parent = drafts_[candidates[0]].spec;
    const int64_t at =
        RealisedSamples(start.value("at", parent.samples_seen), parent.global_batch_size);
    if (at > parent.samples_seen) {
      Error(child,
            fmt::format("start at {} samples, expected at most the {} that the other run sees ({})",
                        at,
                        parent.samples_seen,
                        drafts_[candidates[0]].Describe()));
      return;
    }
    links_[child].parent = candidates[0];
    links_[child].samples_seen = at;
  }

  [[nodiscard]] std::vector<size_t> Candidates(const Json& from, size_t child) {
    std::vector<size_t> found;
    for (const size_t candidate : WithSameNames(from, child)) {
      if (candidate != child && IsParent(drafts_[candidate], from, drafts_[child])) {
        found.push_back(candidate);
      }
    }
    return found;
  }

  // Model and data set are always given, so they narrow the search without comparing all runs.
  const std::vector<size_t>& WithSameNames(const Json& from, size_t child) {
    if (by_names_.empty()) {
      for (size_t i = 0; i < drafts_.size(); ++i) {
        by_names_[{drafts_[i].Text("model"), drafts_[i].Text("dataset")}].push_back(i);
      }
    }
    return by_names_[{from.value("model", drafts_[child].Text("model")),
                      from.value("dataset", drafts_[child].Text("dataset"))}];
  }

  static bool IsParent(const RunDraft& candidate, const Json& from, const RunDraft& child) {
    for (size_t i = 0; i < RunFields().size(); ++i) {
      const std::string_view name = RunFields()[i].name;
      if (const auto wanted = from.find(name); wanted != from.end()) {
        if (candidate.values[i] != *wanted) return false;
        continue;
      }
      if (name == "start" || FollowsFromOthers(candidate, i) || FollowsFromOthers(child, i))
        continue;
      if (candidate.values[i] != child.values[i]) return false;
    }
    return true;
  }

  static bool FollowsFromOthers(const RunDraft& draft, size_t field) {
    return draft.origins[field] != ValueOrigin::kGiven;
  }

  [[nodiscard]] std::string WhyNotOne(const std::vector<size_t>& candidates, size_t child) const {
    const std::string wanted = drafts_[child].Value("start")["from"].dump();
    if (candidates.empty()) {
      return fmt::format("no run of this sweep has {} and otherwise the values of the run with {}",
                         wanted,
                         drafts_[child].Describe());
    }
    constexpr size_t kMostShown = 4;
    std::string text =
        fmt::format("{} runs of this sweep have {}, expected one; add fields that tell them apart:",
                    candidates.size(),
                    wanted);
    for (size_t i = 0; i < std::min(candidates.size(), kMostShown); ++i) {
      text += fmt::format(" ({})", drafts_[candidates[i]].Describe());
    }
    return text;
  }

  void CheckNoCycles() {
    for (size_t i = 0; i < links_.size(); ++i) {
      std::optional<size_t> at = links_[i].parent;
      for (size_t moves = 0; at && *at != i && moves < links_.size(); ++moves)
        at = links_[*at].parent;
      if (at != i) continue;
      Error(i,
            fmt::format("the run with {} starts, in the end, from itself", drafts_[i].Describe()));
      return;
    }
  }

  void Error(size_t draft, const std::string& message) {
    const std::string& asked_by = drafts_[draft].pointer;
    const std::string pointer =
        asked_by == "/grid" && !file_.source.value()["grid"].contains("start")
            ? "/fixed/start"
            : asked_by + "/start";
    problems_.Add(file_.source.Error(pointer, message));
  }

  const SweepFile& file_;
  const std::vector<RunDraft>& drafts_;
  ProblemList& problems_;
  std::vector<RunLink> links_;
  std::map<std::string, std::string> contents_;  // path → content id
  std::map<std::pair<std::string, std::string>, std::vector<size_t>> by_names_;
};

}  // namespace

std::optional<std::vector<RunLink>> LinkRuns(const SweepFile& file,
                                             const std::vector<RunDraft>& drafts,
                                             ProblemList& problems) {
  return Linker(file, drafts, problems).Link();
}

}  // namespace sweep
