#include "core/evaluation_spec.h"

#include <fmt/format.h>

#include "core/canonical_fields.h"
#include "core/hash.h"

namespace sweep {
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

EvaluationIdentity::EvaluationIdentity(const EvaluationSpec& spec)
    : canonical_spec_(CanonicalFields(spec)) {}

std::string EvaluationIdentity::Of(const std::string& run_id, int64_t samples_seen) const {
  return ContentIdOfText(fmt::format(R"({{"evaluation":{},"run_id":{},"samples_seen":{}}})",
                                     canonical_spec_,
                                     Json(run_id).dump(),
                                     samples_seen));
}

std::string EvaluationId(const std::string& run_id,
                         int64_t samples_seen,
                         const EvaluationSpec& spec) {
  return EvaluationIdentity(spec).Of(run_id, samples_seen);
}

}  // namespace sweep
