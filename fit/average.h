#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "fit/choose.h"
#include "fit/predict.h"

namespace sweep {

/// One law's part in an averaged prediction.
struct LawShare {
  std::string law;
  double weight = 0;
  std::string within = {};  ///< the law whose interval stands for this one's, a special case of it
  Prediction prediction;    ///< with limits where the law's interval is in the mixture
};

/// A prediction that does not rest on one law: the mixture of every law's own distribution,
/// weighted by Akaike weights exp(-ΔAICc/2) (Buckland, Burnham and Augustin 1997; Burnham and
/// Anderson 2002). A law's distribution is half of a Student's t on each side of its value, as wide
/// as the law's own limits (FitOptions::intervals: profiles by default). A law that is another one
/// without a parameter gives that one its weight. Weights rest on the fit inside the data alone.
/// Limits are absent where laws that the data do not bound on that side hold too much weight.
struct AveragedPrediction {
  std::map<std::string, double> at;
  double value = 0;                                     ///< mean in the residual's space
  std::optional<double> mean_low = {}, mean_high = {};  ///< of the laws
  std::optional<double> low = {}, high = {};            ///< of a new point
  double least = 0, most = 0;  ///< over laws of a weight above a thousandth
  std::vector<LawShare> laws;  ///< heaviest first
};

/// Fits every law that has exactly the points' variables. Throws Failure(kData) when none has an
/// AICc (too few points for any).
[[nodiscard]] AveragedPrediction PredictOverLaws(const PointTable& points,
                                                 const FitOptions& options,
                                                 const std::map<std::string, double>& at);

/// Compute to loss to accuracy: the first law's value is where the second one is read.
struct ChainedPrediction {
  Prediction first;
  Prediction second;                          ///< at the first's value, as if that were known
  std::optional<double> low = {}, high = {};  ///< of a new point, with both laws' uncertainty
};

/// `second` has one variable, which stands for the first law's observable. Variances add in the
/// second law's residual space (the first one's times the square of the second law's slope there),
/// degrees of freedom by Welch–Satterthwaite.
[[nodiscard]] ChainedPrediction PredictChain(const FitReport& first,
                                             const FitReport& second,
                                             const std::map<std::string, double>& at);

[[nodiscard]] Json ToJson(const AveragedPrediction& prediction);
[[nodiscard]] Json ToJson(const ChainedPrediction& prediction);

}  // namespace sweep
