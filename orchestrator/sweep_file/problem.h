#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

namespace sweep {

/// A place in a text file. Lines and columns count from 1, columns in bytes.
struct SourcePosition {
  size_t line = 1;
  size_t column = 1;
  bool operator==(const SourcePosition&) const = default;
};

/// One finding about a file.
struct FileProblem {
  enum class Severity { kError, kWarning };
  Severity severity = Severity::kError;
  std::string file;
  SourcePosition position;
  std::string pointer;  ///< JSON pointer (RFC 6901) of the value; empty for the whole document
  std::string message;
};

/// `FILE:LINE: /pointer: message`; without the pointer where there is none, with `warning:` before
/// the message of a warning.
[[nodiscard]] std::string FormatProblem(const FileProblem& problem);

/// `{"severity","file","line","column","pointer","message"}`.
[[nodiscard]] Json ToJson(const FileProblem& problem);

/// Collects findings, so that a file's author learns of all of them at once. The same message at
/// the same place is kept once: a thousand runs with one wrong derived value are one problem.
class ProblemList {
 public:
  void Add(FileProblem problem);

  [[nodiscard]] bool has_errors() const { return errors_ > 0; }
  [[nodiscard]] size_t errors() const { return errors_; }
  [[nodiscard]] const std::vector<FileProblem>& all() const { return problems_; }

  /// Throws Failure(kUsage) with every error, one a line; does nothing when there is none.
  void ThrowIfErrors() const;

 private:
  std::vector<FileProblem> problems_;
  std::set<std::pair<std::string, std::string>> seen_;  // pointer, message
  size_t errors_ = 0;
};

/// "; did you mean 'Y'?" for the candidate nearest to `word`, or nothing when none is near: at most
/// one edit for every three letters, where an edit inserts, deletes or replaces a letter or swaps
/// two neighbours. Case does not count as a difference.
[[nodiscard]] std::string DidYouMean(std::string_view word,
                                     const std::vector<std::string>& candidates);

/// "a, b or c", for messages that list what is known; the middle is left out past `most` names.
[[nodiscard]] std::string ListOfNames(const std::vector<std::string>& names, size_t most = 20);

}  // namespace sweep
