#include "orchestrator/point_kind.h"

#include <fmt/format.h>

namespace sweep {
namespace {

std::size_t CountOf(const KindCounts& counts, const std::string& kind) {
  const auto found = counts.find(kind);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

std::string UsualKind(const KindCounts& counts) {
  const std::size_t branches = CountOf(counts, "cooldown");
  return branches > 0 && branches >= CountOf(counts, "final") ? "cooldown" : "final";
}

KindCounts EndsLeftOut(const KindCounts& counts, const std::string& kind) {
  KindCounts left_out;
  if (kind == "all") return left_out;
  for (const char* end : {"cooldown", "final", "trunk"}) {
    if (const std::size_t count = CountOf(counts, end); count > 0 && end != kind)
      left_out[end] = count;
  }
  return left_out;
}

std::string KindCountsText(const KindCounts& counts) {
  std::string text;
  for (const auto& [kind, count] : counts)
    text += fmt::format("{}{} of kind {}", text.empty() ? "" : ", ", count, kind);
  return text;
}

}  // namespace sweep
