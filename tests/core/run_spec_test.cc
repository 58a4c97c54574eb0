#include "core/run_spec.h"

#include <catch2/catch.hpp>

#include "core/evaluation_spec.h"
#include "core/failure.h"
#include "tests/support/sample_specs.h"

namespace sweep {

TEST_CASE("A run spec survives writing and reading") {
  const RunSpec spec = SampleRunSpec();
  CHECK(ParseRunSpec(ToJson(spec), "spec") == spec);
}

TEST_CASE("A field at its frozen default is left out of the identity") {
  RunSpec spec = SampleRunSpec();
  CHECK_FALSE(ToJson(spec).contains("precision"));
  CHECK_FALSE(ToJson(spec).at("optimizer").contains("beta2"));
  spec.precision = "bf16";
  CHECK(ToJson(spec).at("precision") == "bf16");
}

TEST_CASE("The identity of a stored run never changes") {
  // If this fails, an existing store would train its finished runs again: add fields with frozen
  // defaults instead.
  CHECK(RunId(SampleRunSpec()) == "88789fcd4a99ce3775f5a7d1db043d0f");
}

TEST_CASE("Everything that decides the weights changes run_id") {
  const std::string id = RunId(SampleRunSpec());
  RunSpec spec = SampleRunSpec();
  spec.seed = 1;
  CHECK(RunId(spec) != id);
  spec = SampleRunSpec();
  spec.data.options["mismatch"] = 0.5;
  CHECK(RunId(spec) != id);
  spec = SampleRunSpec();
  spec.start.run_id = id;
  CHECK(RunId(spec) != id);
}

TEST_CASE("ParseRunSpec refuses unknown fields and impossible values, naming them") {
  Json json = ToJson(SampleRunSpec());
  json["sead"] = 3;
  CHECK_THROWS_WITH(ParseRunSpec(json, "spec.json"),
                    Catch::Contains("spec.json") && Catch::Contains("'sead'"));
  json.erase("sead");
  json["samples_seen"] = 1000;
  CHECK_THROWS_WITH(
      ParseRunSpec(json, "spec.json"),
      Catch::Contains("samples_seen is 1000") && Catch::Contains("multiple of global_batch_size"));
}

TEST_CASE("EvaluationId depends on the checkpoint and on the evaluation") {
  const EvaluationSpec spec = SampleEvaluationSpec();
  EvaluationSpec larger = spec;
  larger.size = 2000;
  CHECK(EvaluationId("r", 128, spec) != EvaluationId("r", 256, spec));
  CHECK(EvaluationId("r", 128, spec) != EvaluationId("r", 128, larger));
  CHECK(EvaluationId("r", 128, spec) == EvaluationId("r", 128, spec));
}

}  // namespace sweep
