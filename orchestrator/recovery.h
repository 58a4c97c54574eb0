#pragma once

#include <memory>
#include <string>
#include <vector>

#include "db/store.h"
#include "orchestrator/sweep_file/expanded_sweep.h"

namespace sweep {

/// Opens a store for writing and brings it up to what its files say, in this order:
///   1. sweeps and imports that the database does not know (their files were published before it
///   committed);
///   2. the journal's tail;
///   3. attempts that a dead `sweep` left open: a process still at work is stopped, what it left is
///   taken in, and the
///      attempt is closed;
///   4. runs caught between the intent to start and the start;
///   5. requests of `sweep retry` that nobody was there to take.
/// On a healthy store this reads a few rows. `notes` receives a line for each thing that was
/// mended.
[[nodiscard]] std::unique_ptr<Store> OpenForWriting(const std::filesystem::path& root,
                                                    std::vector<std::string>& notes);

/// Makes the database anew from the files and puts it in the place of the old one, which stays as
/// `sweep.db.old`.
void RebuildDatabase(const std::filesystem::path& root, std::vector<std::string>& notes);

/// Writes `sweeps/ID.json` and adds the sweep; sets `sweep.sweep_id`. One that is there already
/// stays as it is.
void AddSweepToStore(Store& store, ExpandedSweep& sweep);

/// Writes `imports/ID/import.json` and adds its points. Returns false when the same table was
/// imported before.
bool AddImportToStore(Store& store,
                      const std::string& name,
                      const std::string& format,
                      std::vector<ImportedPoint> points);

}  // namespace sweep
