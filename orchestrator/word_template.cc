#include "orchestrator/word_template.h"

#include <functional>

namespace sweep {
namespace {

constexpr const char* kNameCharacters = "abcdefghijklmnopqrstuvwxyz_";

// Calls `replace` with each name in the word and puts what it returns in its place.
std::string ReplaceNames(const std::string& word,
                         const std::function<std::string(const std::string&)>& replace) {
  std::string replaced;
  size_t done = 0;
  for (size_t open = word.find('{'); open != std::string::npos; open = word.find('{', open + 1)) {
    const size_t close = word.find_first_not_of(kNameCharacters, open + 1);
    if (close == std::string::npos || word[close] != '}' || close == open + 1) continue;
    replaced += word.substr(done, open - done) + replace(word.substr(open + 1, close - open - 1));
    done = close + 1;
  }
  return replaced + word.substr(done);
}

}  // namespace

std::vector<std::string> NamesIn(const WordTemplate& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    (void)ReplaceNames(word, [&](const std::string& name) {
      names.push_back(name);
      return name;
    });
  }
  return names;
}

std::vector<std::string> FillIn(const WordTemplate& words,
                                const std::map<std::string, std::string>& values) {
  std::vector<std::string> filled;
  for (const std::string& word : words) {
    filled.push_back(ReplaceNames(word, [&](const std::string& name) {
      const auto value = values.find(name);
      return value == values.end() ? "{" + name + "}" : value->second;
    }));
  }
  return filled;
}

}  // namespace sweep
