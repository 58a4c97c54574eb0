#include "core/evaluation_spec.h"
#include "core/json.h"
#include "core/run_directory.h"
#include "core/run_spec.h"

#include <cstdlib>
#include "tests/fuzz/fuzz.h"

namespace sweep {

void Read(std::string_view text) {
  const Json json = ParseJson(text, "fuzz");
  const RunSpec spec =
      ParseRunSpec(json.is_object() && json.contains("spec") ? json["spec"] : json, "fuzz");
  if (RunId(ParseRunSpec(ToJson(spec), "again")) != RunId(spec)) std::abort();
}

}  // namespace sweep
