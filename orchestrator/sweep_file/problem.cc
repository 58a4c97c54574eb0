#include "orchestrator/sweep_file/problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "core/failure.h"

namespace sweep {
namespace {

std::string Lowercase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// Optimal string alignment distance: Levenshtein's with swaps of neighbours.
size_t EditDistance(const std::string& a, const std::string& b) {
  const size_t width = b.size() + 1;
  std::vector<size_t> table((a.size() + 1) * width);
  const auto at = [&](size_t i, size_t j) -> size_t& { return table[i * width + j]; };
  for (size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
  for (size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = at(i - 1, j - 1) + (a[i - 1] == b[j - 1] ? 0 : 1);
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
  }
  return at(a.size(), b.size());
}

}  // namespace

std::string FormatProblem(const FileProblem& problem) {
  std::string text = fmt::format("{}:{}: ", problem.file, problem.position.line);
  if (!problem.pointer.empty()) text += problem.pointer + ": ";
  if (problem.severity == FileProblem::Severity::kWarning) text += "warning: ";
  return text + problem.message;
}

Json ToJson(const FileProblem& problem) {
  const bool is_error = problem.severity == FileProblem::Severity::kError;
  return Json{{"severity", is_error ? "error" : "warning"},
              {"file", problem.file},
              {"line", problem.position.line},
              {"column", problem.position.column},
              {"pointer", problem.pointer},
              {"message", problem.message}};
}

void ProblemList::Add(FileProblem problem) {
  if (!seen_.emplace(problem.pointer, problem.message).second) return;
  if (problem.severity == FileProblem::Severity::kError) ++errors_;
  problems_.push_back(std::move(problem));
}

void ProblemList::ThrowIfErrors() const {
  if (!has_errors()) return;
  std::string text;
  for (const FileProblem& problem : problems_) {
    if (problem.severity != FileProblem::Severity::kError) continue;
    if (!text.empty()) text += '\n';
    text += FormatProblem(problem);
  }
  throw Failure(FailureCode::kUsage, text);
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr size_t kLongestWord = 100;  // nobody mistypes a name into a page of text
  if (word.empty() || word.size() > kLongestWord) return {};
  const std::string lower = Lowercase(word);
  const std::string* nearest = nullptr;
  size_t least = std::max<size_t>(1, lower.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(lower, Lowercase(candidate));
    if (distance >= least) continue;
    least = distance;
    nearest = &candidate;
  }
  return nearest == nullptr ? std::string() : fmt::format("; did you mean '{}'?", *nearest);
}

std::string ListOfNames(const std::vector<std::string>& names, size_t most) {
  std::string text;
  const size_t shown = std::min(names.size(), most);
  for (size_t i = 0; i < shown; ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  if (shown < names.size()) text += fmt::format(", … ({} more)", names.size() - shown);
  return text;
}

}  // namespace sweep
