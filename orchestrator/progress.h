#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "db/records.h"
#include "orchestrator/attempt_verdict.h"

namespace sweep {

/// What a running sweep tells its user, on stderr: on a terminal a bar that is redrawn, in a pipe a
/// plain line for each run that ends. Colour only on a terminal and without NO_COLOR in the
/// environment.
class Progress {
 public:
  /// `total_runs` with `done_runs` finished before; `compute_gmacs` is the compute still to be
  /// spent.
  Progress(std::FILE* out, size_t total_runs, size_t done_runs, double compute_gmacs);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void RunEnded(const RunRow& run, const AttemptVerdict& verdict, bool will_retry, double seconds);
  void Note(const std::string& line);

  /// Newest numbers of a run at work.
  void RunAt(const RunRow& run, const RunProgress& progress);

  /// Redraws the bar (terminals only); cheap, call it every cycle.
  void Draw(size_t running);

 private:
  [[nodiscard]] std::string Bar(size_t running) const;
  void Print(const std::string& line);
  void Erase();

  std::FILE* out_;
  bool terminal_;
  bool colour_;
  size_t total_runs_;
  size_t done_runs_;
  double compute_total_;
  double compute_ended_ = 0;
  std::map<std::string, double> compute_running_;  // GMACs done so far, by run
  std::map<std::string, double> rates_;            // samples a second, by run
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  bool bar_shown_ = false;
};

/// Is `out` a terminal, and does the user not forbid colours (NO_COLOR)?
[[nodiscard]] bool WantsColour(std::FILE* out);

/// "2h 03m", "4m 05s", "12.3s".
[[nodiscard]] std::string HumanSeconds(double seconds);

/// "12.8B", "407M", "8,192": how people write samples and parameters.
[[nodiscard]] std::string HumanCount(double count);

/// "12.8 GB", "407 MB": decimal units.
[[nodiscard]] std::string HumanBytes(double bytes);

}  // namespace sweep
