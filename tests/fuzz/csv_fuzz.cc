#include "core/csv.h"
#include "orchestrator/csv.h"
#include "orchestrator/import.h"

#include <cstdlib>
#include "tests/fuzz/fuzz.h"

namespace sweep {

void Read(std::string_view text) {
  const CsvText csv = ParseCsvText(text, "fuzz.csv");
  for (const auto& row : csv.rows) {
    if (row.size() != csv.columns.size()) std::abort();
  }
  const Table table = ParseCsv(text, "fuzz.csv");
  if (RecogniseTable(table) == PublicTable::kZeroshotResults) (void)ImportZeroshotResults(table);
  if (RecogniseTable(table) == PublicTable::kTrainedModelsInfo)
    (void)ImportTrainedModelsInfo(table);
}

}  // namespace sweep
