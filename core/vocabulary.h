#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace sweep {

/// Two symbols that a byte-pair tokenizer joins into one.
struct BytePairMerge {
  std::string left;
  std::string right;
};

/// Ids of `clip_bpe` before its first merge: each byte, and each byte at the end of a word.
inline constexpr int64_t kClipByteIds = 512;

/// The merges that CLIP uses of its vocabulary file (plain or gzip), in order: a first line that is
/// skipped, then "LEFT RIGHT" lines, of which only the first 48,894 count. With start and end of
/// text after them the published file makes 49,408 ids. Throws Failure(kData) naming file and line.
[[nodiscard]] std::vector<BytePairMerge> ReadClipMerges(const std::filesystem::path& path);

/// Number of ids of the vocabulary file of a tokenizer of `kind`, nullopt for a kind that is not
/// known here. Throws Failure when the file cannot be read.
[[nodiscard]] std::optional<int64_t> VocabularySize(const std::string& kind,
                                                    const std::filesystem::path& path);

}  // namespace sweep
