#include "core/expression.h"

#include "tests/fuzz/fuzz.h"

namespace sweep {

void Read(std::string_view text) {
  const Expression expression(text);
  (void)expression.Evaluate(
      [](const std::string& name) { return static_cast<double>(name.size()); });
}

}  // namespace sweep
