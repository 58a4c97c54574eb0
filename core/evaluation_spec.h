#pragma once

#include <string>

#include "core/json.h"
#include "core/run_spec.h"

namespace sweep {

/// One evaluation of a checkpoint, by content: what is measured on which data. Names are labels
/// kept elsewhere.
struct EvaluationSpec {
  std::string task;               ///< `zeroshot_classification` or `zeroshot_retrieval`
  std::string kind;               ///< of the evaluation data, as DataSpec::kind
  std::string content;            ///< content id of the underlying files
  int64_t size = 0;               ///< number of images
  Json options = Json::object();  ///< the data kind's own settings, templates, captions an image
  bool operator==(const EvaluationSpec&) const = default;
};

template <class Visitor>
void VisitFields(Visitor& visit, EvaluationSpec& s) {
  visit("task", s.task);
  visit("kind", s.kind);
  visit("content", s.content);
  visit("size", s.size);
  visit("options", s.options, Json::object());
}

[[nodiscard]] Json ToJson(const EvaluationSpec& spec);

/// Throws Failure(kUsage) naming `origin`, the field, its value and what was expected.
[[nodiscard]] EvaluationSpec ParseEvaluationSpec(const Json& json, const std::string& origin);

/// The identities of one evaluation of many checkpoints: its spec is put into words once.
class EvaluationIdentity {
 public:
  explicit EvaluationIdentity(const EvaluationSpec& spec);
  /// As EvaluationId.
  [[nodiscard]] std::string Of(const std::string& run_id, int64_t samples_seen) const;

 private:
  std::string canonical_spec_;
};

/// Identity of one evaluation of one checkpoint: content id over (run, samples seen in its segment,
/// spec).
[[nodiscard]] std::string EvaluationId(const std::string& run_id,
                                       int64_t samples_seen,
                                       const EvaluationSpec& spec);

}  // namespace sweep
