#include "core/evaluation_spec.h"

#include <fmt/format.h>

#include "core/canonical_fields.h"
#include "core/hash.h"

namespace sweep {
namespace {

struct EvaluationIdentity {
  const EvaluationSpec& evaluation;
  const std::string& run_id;
  int64_t samples_seen = 0;
};

template <class Visitor>
void VisitFields(Visitor& visit, EvaluationIdentity& s) {
  visit("evaluation", s.evaluation);
  visit("run_id", s.run_id);
  visit("samples_seen", s.samples_seen);
}

}  // namespace

Json ToJson(const EvaluationSpec& spec) {
  return FieldsToJson(spec);
}

EvaluationSpec ParseEvaluationSpec(const Json& json, const std::string& origin) {
  auto spec = FieldsFromJson<EvaluationSpec>(json, origin);
  if (spec.task != "zeroshot_classification" && spec.task != "zeroshot_retrieval") {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("{}: task is '{}', expected zeroshot_classification or zeroshot_retrieval",
                    origin,
                    spec.task));
  }
  if (spec.size <= 0) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("{}: size is {}, expected a positive number of images", origin, spec.size));
  }
  return spec;
}

std::string EvaluationId(const std::string& run_id,
                         int64_t samples_seen,
                         const EvaluationSpec& spec) {
  return ContentIdOfText(CanonicalFields(EvaluationIdentity{spec, run_id, samples_seen}));
}

}  // namespace sweep
