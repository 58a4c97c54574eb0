#pragma once

#include <string>
#include <vector>

#include "fit/problem.h"

namespace sweep {

/// What the search for the best law found.
struct SearchResult {
  Minimum best;
  Box box;                                 ///< the problem's, with vanished parameters held as well
  std::vector<std::size_t> vanished = {};  ///< parameters whose best value is exactly zero
  std::size_t starts = 0;                  ///< objectives evaluated at a start
  std::size_t polished = 0;                ///< starts finished to convergence
  std::size_t at_best = 0;                 ///< of these, within 1e-6 (relative) of the best
  std::string stopped = {};
};

/// Many starts: the objective everywhere, the best twentieth ten steps, the best twenty to
/// convergence (all of them when options.race is off); the best is finished by ceres::Solve and by
/// Newton's method, and compared with the law without each of the parameters that can vanish. From
/// 40,000 points on the starts are finished on every k-th point, about 20,000, and counted there;
/// the best of them is finished on all.
[[nodiscard]] SearchResult Search(const Problem& problem, const FitOptions& options);

/// The minimum near `start` with parameters held at other values than the problem's own; used by
/// intervals.
[[nodiscard]] Minimum Refit(Objective& objective, const std::vector<double>& start, const Box& box);

/// Puts a better optimum, met elsewhere, in the place of the best: finished like it, vanished
/// parameters tried again.
void AdoptBetter(const Problem& problem, const Minimum& better, SearchResult& found);

}  // namespace sweep
