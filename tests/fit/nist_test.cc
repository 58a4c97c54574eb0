// NIST Statistical Reference Datasets, nonlinear regression: from start 1, the one far away, every
// certified parameter and standard deviation to at least six digits. Points, models, starts and
// certified values: see tests/data/fit/README.md.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

#include "fit/dual_law.h"
#include "fit/fit.h"

using namespace sweep;

namespace {

// Laws take positive variables, NIST's x may be negative: they travel as exp(x / 100).
constexpr double kScale = 100;

PointTable Points(const std::string& problem) {
  std::ifstream in(std::string(SWEEP_SOURCE_DIR) + "/tests/data/fit/nist_strd.csv");
  PointTable points{.variables = {"X"}, .columns = {{}}, .observable = "drop"};
  for (std::string line; std::getline(in, line);) {
    std::istringstream cells(line);
    std::string name, x, y;
    std::getline(cells, name, ',');
    std::getline(cells, x, ',');
    std::getline(cells, y, ',');
    if (name != problem) continue;
    points.columns[0].push_back(std::exp(std::stod(x) / kScale));
    points.y.push_back(std::stod(y));
  }
  return points;
}

// A law from a generic lambda (x, parameters b).
template <class Model>
struct NistFormula {
  static constexpr Returns kReturns = Returns::kValue;
  std::vector<double> x;
  Model model;
  template <class T>
  T operator()(std::size_t i, const T* b) const {
    return model(x[i], b);
  }
};

struct Certified {
  double start, value, deviation;
};

template <std::size_t P, class Model>
void CheckProblem(const std::string& name,
                  Model model,
                  const std::vector<Certified>& certified,
                  double squares) {
  CAPTURE(name);
  Law law;
  law.name = name;
  law.formula = name;
  law.variables = {"X"};
  FitOptions options;
  options.intervals = {.kind = IntervalKind::kDelta};
  for (std::size_t k = 0; k < P; ++k) {
    law.parameters.emplace_back();
    law.parameters.back().name = "b" + std::to_string(k + 1);
    options.start[law.parameters.back().name] = certified[k].start;
  }
  law.residual = Residual::kLinear;
  law.bind = [model](const PointTable& points, const Constants&) {
    std::vector<double> x;
    for (const double value : points.columns[0]) x.push_back(kScale * std::log(value));
    return BindDual<P>(points.size(), NistFormula<Model>{x, model});
  };
  const FitReport fit = FitLaw(Points(name), law, options);
  CAPTURE(fit.stopped);
  CHECK(2 * fit.objective == Approx(squares).epsilon(1e-9));
  for (std::size_t k = 0; k < P; ++k) {
    CAPTURE(k);
    CHECK(fit.estimates[k].value == Approx(certified[k].value).epsilon(5e-8));
    CHECK(std::sqrt(fit.linearisation.covariance[k * P + k]) ==
          Approx(certified[k].deviation).epsilon(5e-7));
  }
}

struct Cubic {
  template <class T>
  T operator()(double x, const T* b) const {
    return (b[0] + x * (b[1] + x * (b[2] + x * b[3]))) / (1.0 + x * (b[4] + x * (b[5] + x * b[6])));
  }
};

}  // namespace

TEST_CASE("NIST MGH09 from its first start") {
  const auto model = [](double x, const auto* b) {
    return b[0] * (x * x + x * b[1]) / (x * x + x * b[2] + b[3]);
  };
  CheckProblem<4>("MGH09",
                  model,
                  {{25, 1.9280693458E-01, 1.1435312227E-02},
                   {39, 1.9128232873E-01, 1.9633220911E-01},
                   {41.5, 1.2305650693E-01, 8.0842031232E-02},
                   {39, 1.3606233068E-01, 9.0025542308E-02}},
                  3.0750560385E-04);
}

TEST_CASE("NIST Thurber from its first start") {
  CheckProblem<7>("Thurber",
                  Cubic{},
                  {{1000, 1.2881396800E+03, 4.6647963344E+00},
                   {1000, 1.4910792535E+03, 3.9571156086E+01},
                   {400, 5.8323836877E+02, 2.8698696102E+01},
                   {40, 7.5416644291E+01, 5.5675370270E+00},
                   {0.7, 9.6629502864E-01, 3.1333340687E-02},
                   {0.3, 3.9797285797E-01, 1.4984928198E-02},
                   {0.03, 4.9727297349E-02, 6.5842344623E-03}},
                  5.6427082397E+03);
}

TEST_CASE("NIST Eckerle4 from its first start") {
  const auto model = [](double x, const auto* b) {
    using std::exp;
    const auto z = (x - b[2]) / b[1];
    return b[0] / b[1] * exp(-0.5 * z * z);
  };
  CheckProblem<3>("Eckerle4",
                  model,
                  {{1, 1.5543827178E+00, 1.5408051163E-02},
                   {10, 4.0888321754E+00, 4.6803020753E-02},
                   {500, 4.5154121844E+02, 4.6800518816E-02}},
                  1.4635887487E-03);
}

TEST_CASE("NIST Rat43 from its first start") {
  const auto model = [](double x, const auto* b) {
    using std::exp;
    using std::log;
    return b[0] * exp(-1.0 * Softplus(b[1] - b[2] * x) / b[3]);
  };
  CheckProblem<4>("Rat43",
                  model,
                  {{100, 6.9964151270E+02, 1.6302297817E+01},
                   {10, 5.2771253025E+00, 2.0828735829E+00},
                   {1, 7.5962938329E-01, 1.9566123451E-01},
                   {1, 1.2792483859E+00, 6.8761936385E-01}},
                  8.7864049080E+03);
}

TEST_CASE("NIST BoxBOD from its first start") {
  const auto model = [](double x, const auto* b) {
    using std::expm1;
    return -1.0 * b[0] * expm1(-x * b[1]);
  };
  CheckProblem<2>(
      "BoxBOD",
      model,
      {{1, 2.1380940889E+02, 1.2354515176E+01}, {1, 5.4723748542E-01, 1.0455993237E-01}},
      1.1680088766E+03);
}

TEST_CASE("NIST Hahn1 from its first start") {
  CheckProblem<7>("Hahn1",
                  Cubic{},
                  {{10, 1.0776351733E+00, 1.7070154742E-01},
                   {-1, -1.2269296921E-01, 1.2000289189E-02},
                   {.05, 4.0863750610E-03, 2.2508314937E-04},
                   {-.00001, -1.4262662514E-06, 2.7578037666E-07},
                   {-.05, -5.7609940901E-03, 2.4712888219E-04},
                   {.001, 2.4053735503E-04, 1.0449373768E-05},
                   {-.000001, -1.2314450199E-07, 1.3027335327E-08}},
                  1.5324382854E+00);
}

TEST_CASE("NIST MGH17 from its first start") {
  const auto model = [](double x, const auto* b) {
    using std::exp;
    return b[0] + b[1] * exp(-x * b[3]) + b[2] * exp(-x * b[4]);
  };
  CheckProblem<5>("MGH17",
                  model,
                  {{50, 3.7541005211E-01, 2.0723153551E-03},
                   {150, 1.9358469127E+00, 2.2031669222E-01},
                   {-100, -1.4646871366E+00, 2.2175707739E-01},
                   {1, 1.2867534640E-02, 4.4861358114E-04},
                   {2, 2.2122699662E-02, 8.9471996575E-04}},
                  5.4648946975E-05);
}
