#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/json.h"
#include "orchestrator/sweep_file/problem.h"

namespace sweep {

/// A JSON document that remembers where each of its values stands in the file.
class LocatedJson {
 public:
  LocatedJson() = default;
  /// `value` without positions, as made in code: everything stands at line 1.
  LocatedJson(Json value, std::string file) : value_(std::move(value)), file_(std::move(file)) {}

  [[nodiscard]] const Json& value() const { return value_; }
  [[nodiscard]] const std::string& file() const { return file_; }

  /// Where the value at `pointer` begins; of a pointer that is not in the document, where the
  /// nearest value around it begins.
  [[nodiscard]] SourcePosition PositionOf(const std::string& pointer) const;

  /// A problem at `pointer` of this file, to be given to a ProblemList.
  [[nodiscard]] FileProblem Error(const std::string& pointer, std::string message) const;
  [[nodiscard]] FileProblem Warning(const std::string& pointer, std::string message) const;

 private:
  friend LocatedJson ParseLocatedJson(std::string_view, const std::string&, ProblemList&);
  Json value_;
  std::string file_;
  std::map<std::string, SourcePosition, std::less<>> positions_;
};

/// Parses `text`, the content of `file` (a name for messages). Syntax errors (with line and
/// column), keys given twice in one object, and nesting deeper than 64 become problems. After a
/// syntax error the value is null; after a duplicate key it holds the last of them. Never throws
/// for any bytes of `text`.
[[nodiscard]] LocatedJson ParseLocatedJson(std::string_view text,
                                           const std::string& file,
                                           ProblemList& problems);

/// `pointer` extended by an object's key (escaped as RFC 6901 asks) or an array's index.
[[nodiscard]] std::string PointerTo(const std::string& pointer, std::string_view key);
[[nodiscard]] std::string PointerTo(const std::string& pointer, size_t index);

}  // namespace sweep
