#pragma once

#include <string>
#include <vector>

#include "db/store.h"

namespace sweep {

/// What is wrong with a store's files, a sentence each, with file and place.
struct FileTroubles {
  std::vector<std::string> damaged;  ///< sweeps, imports, journal lines, results, evaluations
  std::vector<std::string> remarks;  ///< what is lost and concerns no point: lines of events, steps
                                     ///< of a run's history
};

/// Takes in what the store's files have and its database has not: sweeps, imports, the journal's
/// tail, and the folders of all runs that these are about. Together or not at all, so that what was
/// not taken in is known by how far the database has followed the journal. In an empty database
/// that is everything.
FileTroubles TakeInFiles(Store& store);

}  // namespace sweep
