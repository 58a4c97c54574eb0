#pragma once

#include <map>
#include <string>
#include <vector>

#include "db/records.h"
#include "orchestrator/csv.h"

namespace sweep {

/// How foreign columns become ours. Names on the left are those of the store's `points` view.
struct ImportMapping {
  std::map<std::string, std::string>
      map;  ///< name → column (texts) or expression over columns (numbers)
  std::map<std::string, std::string> set;  ///< name → the same value for every row
  std::vector<std::string>
      metrics;  ///< wide tables: columns that are metrics, one point each where not empty
};

/// Points of any long or wide table. A column that already has one of our names needs no mapping;
/// what follows from other values (compute from samples and GMACs, parameters from a known model's
/// name) is filled in. Throws Failure(kData) naming the row, Failure(kUsage) for a mapping that
/// does not fit the table.
[[nodiscard]] std::vector<ImportedPoint> ImportTable(const Table& table,
                                                     const ImportMapping& mapping);

/// Which of LAION's scaling-laws-openclip tables a table is, by its column names.
enum class PublicTable { kNone, kZeroshotResults, kTrainedModelsInfo };
[[nodiscard]] PublicTable RecogniseTable(const Table& table);

/// `zeroshot_results.csv`: one point for each metric of each row. Curves: `openai` for CLIP-WIT,
/// `laion` for LAION-…, else the upstream data set's name.
[[nodiscard]] std::vector<ImportedPoint> ImportZeroshotResults(const Table& table);

/// `trained_models_info.csv`: the training of each run, as task `training`, metric
/// `samples_per_second`.
[[nodiscard]] std::vector<ImportedPoint> ImportTrainedModelsInfo(const Table& table);

/// Gives points of the same run (by name) the batch size and learning rate that another table
/// knows.
void FillTrainingSettings(std::vector<ImportedPoint>& points,
                          const std::vector<ImportedPoint>& trainings);

}  // namespace sweep
