#pragma once

#include <stdexcept>
#include <string>

namespace sweep {

/// What kind of trouble stopped the program. The values are the documented exit codes of `sweep`
/// and `clip_train`.
enum class FailureCode {
  kInternal = 1,              ///< a bug, or an exception nobody translated
  kUsage = 2,                 ///< wrong command line, sweep file or run spec
  kRunsFailed = 3,            ///< the sweep finished, some of its runs did not
  kBudget = 4,                ///< the plan costs more than the budget allows
  kStoreHeld = 5,             ///< another process holds the store
  kData = 6,                  ///< data to train, evaluate or fit on is missing or unusable
  kDatabase = 7,              ///< SQLite or the store's files
  kSchedulerUnreachable = 8,  ///< the cluster's scheduler does not answer
  kDiskFull = 9,              ///< no room is left where files are to be written
  kInterrupted = 130,         ///< stopped by a signal
  kOutputClosed = 141,        ///< nobody reads stdout any more, as in `sweep export | head`
};

/// The one exception type of this project: trouble from which the current command cannot carry on.
/// The message names the file, the field, the value and what was expected; foreign exceptions
/// (SQLite, JSON, LibTorch) are turned into it at the folder that owns the library, and `main`
/// alone catches it.
class Failure : public std::runtime_error {
 public:
  Failure(FailureCode code, const std::string& message)
      : std::runtime_error(message), code_(code) {}
  [[nodiscard]] FailureCode code() const { return code_; }
  [[nodiscard]] int exit_code() const { return static_cast<int>(code_); }

 private:
  FailureCode code_;
};

/// Text or a file does not hold what it should: wrong type, syntax, size or kind. Its code is
/// kUsage, as for a file that the user wrote. Whoever reads a file that a trainer or the store wrote
/// catches it and says what it means there.
class Malformed : public Failure {
 public:
  explicit Malformed(const std::string& message) : Failure(FailureCode::kUsage, message) {}
};

}  // namespace sweep
