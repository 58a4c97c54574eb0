#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "db/records.h"

namespace sweep {

/// Rows as text under named columns, each with a name for messages: what a CSV file gives, and what
/// the store's `points` view gives.
struct Table : QueryTable {
  std::string origin;  ///< file name or "the store"
  /// What is known to be missing from a curve's points, in words: runs without a result, by model.
  std::map<std::string, std::string> holes = {};
  std::vector<std::string>
      labels;  ///< one a row: "line 7", with the run's name where the table has one

  /// Index of a column; columns.size() when there is none.
  [[nodiscard]] std::size_t Find(std::string_view column) const;
  [[nodiscard]] bool Has(std::string_view column) const { return Find(column) < columns.size(); }
};

/// Parses a table's text as ParseCsvText does. Labels are the lines of the file.
[[nodiscard]] Table ParseCsv(std::string_view text, const std::string& origin);

/// Reads and parses a file or pipe piece by piece. Throws as ParseCsvText, and Failure(kUsage) when
/// it cannot be read.
[[nodiscard]] Table ReadCsv(const std::string& path);

/// Puts `label (run)` in place of `label` where the table has a column run, name or model.
void NameRows(Table& table);

}  // namespace sweep
