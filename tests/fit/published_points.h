#pragma once

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "fit/points.h"

namespace sweep {

/// Rows of a published table (plain CSV, no quotes) as column name -> text.
inline std::vector<std::map<std::string, std::string>> PublishedRows(const std::string& file) {
  std::ifstream in(std::string(SWEEP_SOURCE_DIR) + "/sweeps/published/" + file);
  std::vector<std::map<std::string, std::string>> rows;
  std::vector<std::string> names;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::vector<std::string> cells;
    for (std::string cell; std::getline(fields, cell, ',');) cells.push_back(cell);
    if (names.empty()) {
      names = cells;
      continue;
    }
    std::map<std::string, std::string> row;
    for (std::size_t c = 0; c < names.size(); ++c) row[names[c]] = cells.at(c);
    rows.push_back(std::move(row));
  }
  return rows;
}

/// (C, E = 1 - metric) of the OpenAI models or of the LAION ones, where every column of `where` has
/// its value.
inline PointTable PublishedPoints(const std::string& file,
                                  bool openai,
                                  const std::map<std::string, std::string>& where) {
  PointTable points{.variables = {"C"},
                    .columns = {{}},
                    .observable = "E",
                    .y = {},
                    .weights = {},
                    .labels = {},
                    .clusters = {}};
  for (const auto& row : PublishedRows(file)) {
    if ((row.at("pretraining_dataset") == "CLIP-WIT") != openai) continue;
    bool wanted = true;
    for (const auto& [column, value] : where) wanted = wanted && row.at(column) == value;
    if (!wanted) continue;
    points.columns[0].push_back(std::stod(row.at("compute_gmacs")));
    points.y.push_back(1 - std::stod(row.at("value")));
    points.labels.push_back(row.at("model") + " " + row.at("pretraining_dataset"));
  }
  return points;
}

}  // namespace sweep
