#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/expression.h"
#include "orchestrator/csv.h"

namespace sweep {

/// The number that a cell holds; nullopt for other text, empty cells among them.
[[nodiscard]] std::optional<double> NumberIn(const std::string& cell);

/// "TABLE has the columns …", for messages about one that it lacks.
[[nodiscard]] std::string ColumnsOf(const Table& table);

/// Index of a column. Throws Failure(kUsage) naming `option` and the columns there are.
[[nodiscard]] std::size_t RequireColumn(const Table& table,
                                        const std::string& column,
                                        const std::string& option);

/// Cells as numbers, each read when it is asked for: one that no kept row needs may hold anything.
/// `table` must outlive it.
class NumberColumns {
 public:
  explicit NumberColumns(const Table& table) : table_(table) {}

  /// Is the cell empty, NA, N/A, null, None or "-"?
  [[nodiscard]] bool IsMissingAt(std::size_t column, std::size_t row) const;
  /// Not a number where the cell is missing. Throws Failure(kData) for other text, naming the row.
  [[nodiscard]] double At(std::size_t column, std::size_t row) const;

 private:
  const Table& table_;
};

/// An expression over a row's columns, and over variables that were computed before it.
class RowExpression {
 public:
  /// Throws Failure(kUsage) naming `option` for a name that is neither.
  RowExpression(const Table& table,
                const std::string& text,
                const std::string& option,
                const std::vector<std::string>& variables);

  /// Adds the columns that the expression reads.
  void AddColumns(std::set<std::string>& columns) const;
  [[nodiscard]] double At(NumberColumns& numbers,
                          std::size_t row,
                          const std::vector<double>& variables) const;
  /// The first column whose cell is missing in `row`, or nothing.
  [[nodiscard]] std::optional<std::string> Missing(const NumberColumns& numbers,
                                                   std::size_t row) const;

 private:
  struct Source {
    std::string name;
    bool column;
    std::size_t index;
  };
  Expression expression_;
  std::vector<Source> sources_;
};

/// One --where: a comparison of numbers, or of a text column with a word (model!=ViT-B-32).
class RowFilter {
 public:
  RowFilter(const Table& table, const std::string& text);
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool Keeps(const Table& table, NumberColumns& numbers, std::size_t row) const;

 private:
  [[nodiscard]] bool ReadAsText(const Table& table);

  std::string text_;
  std::optional<RowExpression> number_;
  std::size_t column_ = 0;
  std::string word_;
  bool equal_ = true;
};

}  // namespace sweep
