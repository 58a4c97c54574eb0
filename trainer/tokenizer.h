#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/run_spec.h"

namespace sweep {

/// Text to token ids. End-of-text has the largest id, which is where the text tower reads its
/// feature (argmax), and 0 is padding.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Writes start, the text's tokens, end, then padding into all of `tokens`; a text that is too
  /// long is cut and its last token is end. Returns the number of tokens that are not padding.
  /// Thread-safe.
  [[nodiscard]] virtual int64_t Encode(std::string_view text, std::span<int64_t> tokens) const = 0;

  /// Number of ids.
  [[nodiscard]] virtual int64_t size() const = 0;
};

/// Reads the vocabulary file at `path`, which must have the content id that `spec` names. Throws
/// Failure(kData) for a file that is missing or another one, Failure(kUsage) for a kind that is not
/// `word` or `clip_bpe`.
[[nodiscard]] std::unique_ptr<Tokenizer> LoadTokenizer(const TokenizerSpec& spec,
                                                       const std::filesystem::path& path);

}  // namespace sweep
