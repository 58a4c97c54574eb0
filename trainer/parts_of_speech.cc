#include "trainer/parts_of_speech.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <sstream>
#include <vector>

#include "core/failure.h"
#include "core/hash.h"
#include "core/json_fields.h"

namespace sweep {
namespace {

constexpr const char* kSchema = "sweep.parts_of_speech/1";

enum Rank { kNoun = 1, kAdjective, kVerb, kOther };

struct ListFile {
  std::string schema;
  std::string source;
  std::vector<std::string> nouns;  // those whose ending says otherwise
  std::vector<std::string> adjectives;
  std::vector<std::string> verbs;
  std::vector<std::string> others;
};

template <class Visitor>
void VisitFields(Visitor& visit, ListFile& s) {
  visit("schema", s.schema);
  visit("source", s.source);
  visit("nouns", s.nouns);
  visit("adjectives", s.adjectives);
  visit("verbs", s.verbs);
  visit("others", s.others);
}

struct Ending {
  std::string_view text;
  Rank rank;
};
constexpr std::array kEndings = {
    Ending{"ly", kOther},
    Ending{"ing", kVerb},
    Ending{"ed", kVerb},
    Ending{"ful", kAdjective},
    Ending{"less", kAdjective},
    Ending{"ous", kAdjective},
    Ending{"ish", kAdjective},
    Ending{"able", kAdjective},
    Ending{"ible", kAdjective},
};
constexpr size_t kShortestStem = 3;

std::string LowerCaseWord(std::string word) {
  const auto letter = [](unsigned char c) { return std::isalnum(c) != 0 || c >= 0x80; };
  while (!word.empty() && !letter(static_cast<unsigned char>(word.back()))) word.pop_back();
  word.erase(word.begin(), std::find_if(word.begin(), word.end(), letter));
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return word;
}

std::vector<std::string> WordsOf(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace

PartsOfSpeech::PartsOfSpeech(const std::filesystem::path& path, const std::string& content) {
  const std::string origin = path.string();
  if (!std::filesystem::is_regular_file(path))
    throw Failure(FailureCode::kData, fmt::format("word list {} is missing", origin));
  if (const std::string found = ContentIdOfFile(path); found != content) {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: content id is {}, expected {}", origin, found, content));
  }
  const auto file = FieldsFromJson<ListFile>(ReadJsonFile(origin), origin);
  if (file.schema != kSchema) {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: schema '{}', expected '{}'", origin, file.schema, kSchema));
  }
  for (const std::string& word : file.nouns) ranks_.emplace(word, kNoun);
  for (const std::string& word : file.adjectives) ranks_.emplace(word, kAdjective);
  for (const std::string& word : file.verbs) ranks_.emplace(word, kVerb);
  for (const std::string& word : file.others) ranks_.emplace(word, kOther);
}

int PartsOfSpeech::Rank(const std::string& word) const {
  if (const auto known = ranks_.find(word); known != ranks_.end()) return known->second;
  for (const Ending& ending : kEndings) {
    if (word.size() >= ending.text.size() + kShortestStem && word.ends_with(ending.text))
      return ending.rank;
  }
  return kNoun;
}

std::string PartsOfSpeech::Shorten(const std::string& text, size_t most) const {
  const std::vector<std::string> words = WordsOf(text);
  if (words.size() <= most) return text;
  std::vector<size_t> order(words.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<int> ranks;
  for (const std::string& word : words) ranks.push_back(Rank(LowerCaseWord(word)));
  std::stable_sort(
      order.begin(), order.end(), [&](size_t a, size_t b) { return ranks[a] < ranks[b]; });
  order.resize(most);
  std::sort(order.begin(), order.end());
  std::string kept;
  for (const size_t i : order) kept += (kept.empty() ? "" : " ") + words[i];
  return kept;
}

}  // namespace sweep
