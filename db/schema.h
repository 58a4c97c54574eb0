#pragma once

namespace SQLite {
class Database;
}

namespace sweep {

/// The schema version this program writes (SQLite's user_version).
int SchemaVersion();

/// Brings an empty or older database to SchemaVersion() in one transaction. Throws
/// Failure(kDatabase) for a newer one: runs cost GPU-hours, so nothing is guessed.
void Migrate(SQLite::Database& database);

/// Throws Failure(kDatabase) unless the database has exactly this program's version.
void RequireCurrentSchema(SQLite::Database& database);

}  // namespace sweep
