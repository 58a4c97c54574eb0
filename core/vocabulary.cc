#include "core/vocabulary.h"

#include <fmt/format.h>

#include <string_view>

#include "core/failure.h"
#include "core/gzip_file.h"
#include "core/json.h"
#include "core/printable.h"
#include "core/read_file.h"

namespace sweep {
namespace {

constexpr size_t kMostShown = 100;  // bytes of a line in a message
constexpr size_t kMostClipMerges = 49152 - 256 - 2;

BytePairMerge ParseMerge(std::string_view line, const std::string& origin, size_t line_number) {
  const size_t space = line.find(' ');
  const std::string_view left = line.substr(0, space);
  const std::string_view right = space == line.npos ? "" : line.substr(space + 1);
  if (left.empty() || right.empty() || right.find(' ') != right.npos) {
    throw Failure(
        FailureCode::kData,
        fmt::format(
            "{}:{}: '{}', expected two symbols", origin, line_number, Printable(line, kMostShown)));
  }
  return {std::string(left), std::string(right)};
}

}  // namespace

std::vector<BytePairMerge> ReadClipMerges(const std::filesystem::path& path) {
  const std::string content = ReadGzipOrPlainFile(path, kMostDocumentBytes);
  std::string_view rest = content;
  std::vector<BytePairMerge> merges;
  for (size_t line_number = 1; !rest.empty() && merges.size() < kMostClipMerges; ++line_number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line_number > 1) merges.push_back(ParseMerge(line, path.string(), line_number));
  }
  return merges;
}

std::optional<int64_t> VocabularySize(const std::string& kind, const std::filesystem::path& path) {
  if (kind == "clip_bpe")
    return kClipByteIds + static_cast<int64_t>(ReadClipMerges(path).size()) + 2;
  if (kind != "word") return std::nullopt;
  const Json json = ReadJsonFile(path.string());
  if (!json.is_object() || !json.contains("words")) return std::nullopt;
  return static_cast<int64_t>(json["words"].size());
}

}  // namespace sweep
