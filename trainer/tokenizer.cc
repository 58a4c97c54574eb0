#include "trainer/tokenizer.h"

#include <fmt/format.h>

#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json_fields.h"
#include "core/vocabulary.h"
#include "trainer/clip_bpe.h"
#include "trainer/word_tokenizer.h"

namespace sweep {
namespace {

constexpr const char* kVocabularySchema = "sweep.vocabulary/1";

struct VocabularyFile {
  std::string schema;
  std::string kind;
  std::vector<std::string> words;
};

template <class Visitor>
void VisitFields(Visitor& visit, VocabularyFile& s) {
  visit("schema", s.schema);
  visit("kind", s.kind);
  visit("words", s.words);
}

std::unique_ptr<Tokenizer> LoadWordTokenizer(const std::string& origin) {
  const auto file = FieldsFromJson<VocabularyFile>(ReadJsonFile(origin), origin);
  if (file.schema != kVocabularySchema || file.kind != "word") {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: schema '{}' and kind '{}', expected '{}' and 'word'",
                              origin,
                              file.schema,
                              file.kind,
                              kVocabularySchema));
  }
  return std::make_unique<WordTokenizer>(file.words, origin);
}

}  // namespace

std::unique_ptr<Tokenizer> LoadTokenizer(const TokenizerSpec& spec,
                                         const std::filesystem::path& path) {
  const std::string origin = path.string();
  if (!std::filesystem::is_regular_file(path))
    throw Failure(FailureCode::kData, fmt::format("vocabulary file {} is missing", origin));
  if (const std::string found = ContentIdOfFile(path); found != spec.vocabulary) {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: content id is {}, expected {}", origin, found, spec.vocabulary));
  }
  if (spec.kind == "clip_bpe") return std::make_unique<ClipBpe>(ReadClipMerges(path), origin);
  if (spec.kind == "word") return LoadWordTokenizer(origin);
  throw Failure(FailureCode::kUsage,
                fmt::format("tokenizer kind is '{}', expected word or clip_bpe", spec.kind));
}

}  // namespace sweep
