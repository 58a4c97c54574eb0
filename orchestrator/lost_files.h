#pragma once

#include <string>
#include <vector>

#include "db/store.h"

namespace sweep {

/// Compares what the store has of a sweep's finished runs with their files. A run whose result is
/// gone or damaged is planned again, and an evaluation whose file is gone or damaged is missing
/// again, so that both are made anew; `notes` receives a sentence about each.
void ForgetLostFiles(Store& store, const SweepRow& sweep, std::vector<std::string>& notes);

}  // namespace sweep
