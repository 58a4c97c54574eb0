#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fit/points.h"

namespace sweep {

/// The space in which a law meets the data: ln f - ln y, or f - y.
enum class Residual { kLog, kLinear };

/// How a parameter is worked on inside: as it is, or by its natural logarithm (positive scales from
/// 1e-8 to 1e8 and more).
enum class Transform { kIdentity, kLog };

/// One parameter of a law, in natural units as its formula writes it.
struct Parameter {
  std::string name;
  Transform transform = Transform::kIdentity;
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
  bool can_vanish =
      false;  ///< zero is a sensible finding (no floor): tried exactly, reported as an active bound
  std::string meaning;
  std::string of = {};  ///< the coefficient without whose term this parameter means nothing
};

/// Numbers a law needs that are not estimated, T0=197 for instance.
using Constants = std::map<std::string, double>;

/// Values and derivatives of a law at all points, in the residual's space. `scratch` belongs to the
/// law: what it keeps from Evaluate for AddCurvature.
struct Evaluation {
  std::vector<double> value;     ///< n
  std::vector<double> jacobian;  ///< jacobian[k*n + i]: derivative of value i by inner parameter k
  std::vector<double> scratch;
};

/// A law together with the points' variables: the batch function. Inner parameters are those of
/// Law::parameters after their transforms; a vanished parameter is minus infinity. Safe to call
/// from several threads with one Evaluation each.
class BoundLaw {
 public:
  virtual ~BoundLaw() = default;
  [[nodiscard]] virtual std::size_t points() const = 0;
  [[nodiscard]] virtual std::size_t parameters() const = 0;
  /// Fills out.value, and out.jacobian where `derivatives`.
  virtual void Evaluate(std::span<const double> inner,
                        Residual space,
                        bool derivatives,
                        Evaluation& out) const = 0;
  /// curvature[a*p + b] += sum over i of factors[i] times the second derivative of value i, for a
  /// >= b (the lower triangle). `last` is what Evaluate(inner, space, true, last) left.
  virtual void AddCurvature(std::span<const double> inner,
                            Residual space,
                            const Evaluation& last,
                            std::span<const double> factors,
                            double* curvature) const = 0;
};

/// What a law is asked for when a search begins. It answers with starting points in inner
/// parameters.
struct StartRequest {
  const PointTable& points;
  const Constants& constants;
  std::size_t count = 0;   ///< how many; 0: what the law finds enough
  bool grid = false;       ///< the law's declared grid instead of a low-discrepancy sequence
  std::uint64_t seed = 0;  ///< shifts the sequence
};
using Starts = std::vector<std::vector<double>>;

/// A law's right side in the language that Python and C++ share: + - * /, pow, exp, expm1, log,
/// log1p, abs, min and max over variables, parameters and constants by name.
struct LawCode {
  struct Line {
    std::string name;
    std::string expression;
  };
  std::vector<Line> lines;                    ///< names that the result uses, in order
  std::string result;                         ///< y; empty where y solves an equation:
  std::string root_low = {}, root_high = {};  ///< between these two …
  std::string root_above = {};                ///< … it lies above every y for which this holds
};

/// One scaling law. Each is a small file in fit/laws/.
struct Law {
  std::string name;
  std::string formula;     ///< as in the documentation; y is the observable
  std::string latex = {};  ///< the formula for LaTeX, <name> where a parameter's number goes
  LawCode code = {};       ///< the formula for a programmer
  std::string source;      ///< who wrote it down
  std::vector<std::string> variables;
  std::vector<Parameter> parameters;
  Constants constants = {};            ///< names and defaults
  Residual residual = Residual::kLog;  ///< the default
  std::function<std::unique_ptr<BoundLaw>(const PointTable&, const Constants&)> bind;
  std::function<Starts(const StartRequest&)> starts;
  /// True for a point that every choice of parameters meets alike (a drop of zero at T = T0): it is
  /// left out. May be absent.
  std::function<bool(const PointTable&, std::size_t, const Constants&)> says_nothing = {};
  /// How many starts survive the race. Few, where a start is already the best of its nonlinear
  /// parameters.
  std::size_t finishers = 20;
  /// Quantities that follow from the estimates (natural units), the best batch for instance; may be
  /// absent.
  std::function<std::map<std::string, double>(
      const PointTable&, std::span<const double>, const Constants&)>
      derived = {};

  /// Index of a parameter. Throws Failure(kUsage) that lists the law's parameters.
  [[nodiscard]] std::size_t Index(std::string_view parameter) const;
};

/// Natural value of an inner one and back. Zero of a logarithmic parameter is minus infinity.
[[nodiscard]] double ToNatural(const Parameter& parameter, double inner);
[[nodiscard]] double ToInner(const Parameter& parameter, double natural);

/// An observable in the residual's space, ln y or y, and back.
[[nodiscard]] double InSpace(double value, Residual space);
[[nodiscard]] double FromSpace(double value, Residual space);

/// All laws, in the order of the documentation. Adding one: its file in fit/laws/ and its line in
/// fit/law.cc.
[[nodiscard]] const std::vector<Law>& Laws();

/// Throws Failure(kUsage) with the nearest known name.
[[nodiscard]] const Law& FindLaw(std::string_view name);

}  // namespace sweep
