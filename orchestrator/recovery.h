#pragma once

#include <memory>
#include <string>
#include <vector>

#include "db/store.h"
#include "orchestrator/sweep_file/expanded_sweep.h"

namespace sweep {

/// Opens a store for writing and brings it up to what its files say, in this order:
///   0. a database that is missing or empty is made anew;
///   1. sweeps and imports that the database does not know (their files were published before it
///   committed);
///   2. the journal's tail, and the folders of the runs that it is about: a few after a crash, more
///   where an old copy of the database was put back;
///   3. attempts that a dead `sweep` left open: a process still at work is stopped, what it left is
///   taken in, and the
///      attempt is closed;
///   4. runs caught between the intent to start and the start;
///   5. requests of `sweep retry` that nobody was there to take.
/// On a healthy store this reads a few rows. `notes` receives a line for each thing that was
/// mended.
[[nodiscard]] std::unique_ptr<Store> OpenForWriting(const std::filesystem::path& root,
                                                    std::vector<std::string>& notes);

/// Makes a database anew from the files beside the old one, checks it, and puts it in that one's
/// place at once; the old one stays as `sweep.db.old`. Whatever ends it before that leaves the old
/// one as it was. Files and journal lines that are damaged cost themselves alone and are told in
/// `notes`.
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
