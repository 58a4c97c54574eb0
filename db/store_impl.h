#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/failure.h"
#include "db/journal.h"
#include "db/lease.h"
#include "db/snapshot.h"
#include "db/store.h"

namespace sweep {

/// What store.cc, store_transaction.cc and store_queries.cc share. Not included outside db/.
struct Store::Impl {
  std::filesystem::path path;        // of the database, for messages
  std::unique_ptr<Lease> lease;      // only when writing
  std::unique_ptr<Journal> journal;  // only when writing
  std::unique_ptr<SQLite::Database> database;
  std::unique_ptr<Snapshots> snapshots;  // only when writing on a network file system
  std::map<std::string, SQLite::Statement> statements;  // prepared once each

  /// The prepared statement for `sql`, reset, with its parameters bound in order.
  template <class... Values>
  SQLite::Statement& Prepare(const std::string& sql, const Values&... values) {
    auto found = statements.find(sql);
    if (found == statements.end()) found = statements.try_emplace(sql, *database, sql).first;
    SQLite::Statement& statement = found->second;
    statement.reset();
    statement.clearBindings();
    int index = 0;
    (Bind(statement, ++index, values), ...);
    return statement;
  }

  /// Throws Failure(kStoreHeld) when another process has written the store since it was opened.
  /// Called within each transaction: while it lasts nobody else can write the database.
  void RequireHeld();

  /// Throws what an exception of SQLite means for the user, and what to do about it.
  [[noreturn]] void Explain(const SQLite::Exception& error) const;

  template <class... Values>
  void Execute(const std::string& sql, const Values&... values) {
    Prepare(sql, values...).exec();
  }

 private:
  template <class T>
  static void Bind(SQLite::Statement& statement, int index, const T& value) {
    statement.bind(index, value);
  }
  template <class T>
  static void Bind(SQLite::Statement& statement, int index, const std::optional<T>& value) {
    if (value) {
      statement.bind(index, *value);
    } else {
      statement.bind(index);
    }
  }
};

/// Resets all statements when it goes.
template <class Impl>
class StatementsEnd {
 public:
  explicit StatementsEnd(Impl& impl) : impl_(impl) {}
  ~StatementsEnd() {
    for (auto& [sql, statement] : impl_.statements) statement.tryReset();
  }
  StatementsEnd(const StatementsEnd&) = delete;
  StatementsEnd& operator=(const StatementsEnd&) = delete;

 private:
  Impl& impl_;
};

/// Runs `work`, turning SQLite's exceptions into failures that name the database. Statements are
/// over when it returns: one left in the middle would hold its view of the database, so that the
/// write-ahead log could not be folded in.
template <class Impl, class Work>
auto TranslateSqlite(Impl& impl, Work&& work) {
  const StatementsEnd end(impl);
  try {
    return std::forward<Work>(work)();
  } catch (const SQLite::Exception& error) {
    impl.Explain(error);
  }
}

}  // namespace sweep
