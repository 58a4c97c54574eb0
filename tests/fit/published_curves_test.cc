// The published CLIP scaling laws: coefficients recomputed from the public tables in double
// precision agree with the paper's (arXiv:2212.07143) to every digit it prints. Sources of the
// figures: sweeps/published/README.md.
#include <catch2/catch.hpp>
#include <cmath>

#include "fit/compare.h"
#include "fit/fit.h"
#include "fit/predict.h"
#include "fit/select.h"
#include "published_points.h"

using namespace sweep;

namespace {

std::string Metric(const std::string& set) {
  return set == "mscoco_captions" || set == "flickr30k" ? "image_retrieval_recall@5" : "acc1";
}

PointTable ZeroShot(bool openai, const std::string& set) {
  return PublishedPoints(
      "clip_zeroshot.csv", openai, {{"eval_dataset", set}, {"metric", Metric(set)}});
}

FitReport FitCurve(bool openai, const std::string& set, Intervals intervals = {}) {
  FitOptions options;
  options.intervals = intervals;
  if (!openai) options.select = {.kind = SelectKind::kBinned, .bins = 5};
  return Fit(ZeroShot(openai, set), options);
}

const Intervals kStudent{.kind = IntervalKind::kStudent};

struct ZeroShotRow {
  std::string set;
  double laion_alpha, laion_beta, openai_alpha, openai_beta;
};
const std::vector<ZeroShotRow> kZeroShot = {
    {"imagenet1k", -0.1113884914, 5.858059, -0.1637746905, 23.183551},
    {"imagenet_robustness", -0.1255405199, 11.608666, -0.2378428545, 211.659978},
    {"mscoco_captions", -0.0794344131, 2.749720, -0.0507593738, 1.588605},
    {"flickr30k", -0.1891567073, 15.505964, -0.1028490117, 2.208393},
};

}  // namespace

TEST_CASE("Fit reproduces the zero-shot coefficients of both families") {
  for (const ZeroShotRow& row : kZeroShot) {
    CAPTURE(row.set);
    const FitReport laion = FitCurve(false, row.set, kStudent);
    const FitReport openai = FitCurve(true, row.set, kStudent);
    CHECK(std::abs(laion.At("alpha").value - row.laion_alpha) < 1e-10);
    CHECK(std::abs(laion.At("beta").value - row.laion_beta) < 1e-6);
    CHECK(std::abs(openai.At("alpha").value - row.openai_alpha) < 1e-10);
    CHECK(std::abs(openai.At("beta").value - row.openai_beta) < 1e-6);
    CHECK(laion.n == 5);
    CHECK(openai.n == 3);
  }
}

TEST_CASE("Binned selection puts the smallest error of each bin at the bin's centre") {
  const Selected selected =
      Select(ZeroShot(false, "imagenet1k"), {.kind = SelectKind::kBinned, .bins = 5}, "C");
  const std::vector<double> centres = {
      10.5237596658, 11.0566158189, 11.5894719720, 12.1223281251, 12.6551842782};
  const std::vector<double> minima = {-0.4281049, -0.4344827, -0.5261045, -0.5701832, -0.6570249};
  REQUIRE(selected.points.size() == 5);
  for (std::size_t b = 0; b < 5; ++b) {
    CHECK(std::abs(std::log10(selected.points.columns[0][b]) - centres[b]) < 1e-10);
    CHECK(std::abs(std::log10(selected.points.y[b]) - minima[b]) < 1e-7);
  }
  CHECK(selected.excluded.size() == 24);
}

TEST_CASE("The slope depends on the recipe as published: binned, Pareto, all points") {
  const PointTable points = ZeroShot(false, "imagenet1k");
  FitOptions options;
  options.intervals.kind = IntervalKind::kNone;
  CHECK(std::abs(Fit(points, options).At("alpha").value + 0.1012) < 5e-5);
  options.select.kind = SelectKind::kPareto;
  CHECK(std::abs(Fit(points, options).At("alpha").value + 0.1110) < 5e-5);
  options.select.kind = SelectKind::kBinned;
  options.residual = Residual::kLinear;
  CHECK(std::abs(Fit(points, options).At("alpha").value + 0.1056) < 5e-5);
}

TEST_CASE("Predict extrapolates the OpenCLIP curves to the published accuracies") {
  // Accuracy in percent at model GMACs × samples; 34B is 407332084 × 84 pairs, 68B twice that.
  struct Target {
    std::string set;
    double gmacs, samples, accuracy;
  };
  const double b34 = 407332084.0 * 84;
  const std::vector<Target> targets = {
      {"imagenet1k", 190.97, b34, 78.1078},
      {"imagenet1k", 290.74, b34, 79.1092},
      {"imagenet1k", 532.92, b34, 80.4727},
      {"imagenet1k", 190.97, 2 * b34, 79.7345},
      {"imagenet1k", 290.74, 2 * b34, 80.6614},
      {"imagenet1k", 532.92, 2 * b34, 81.9236},
      {"imagenet1k", 190.97, 34e9, 78.092},
      {"mscoco_captions", 190.97, b34, 73.6172},
      {"mscoco_captions", 532.92, b34, 75.6826},
      {"mscoco_captions", 532.92, 2 * b34, 76.9853},
  };
  for (const Target& target : targets) {
    CAPTURE(target.set, target.gmacs, target.samples);
    const FitReport fit = FitCurve(false, target.set, kStudent);
    const Prediction prediction = Predict(fit, {{"C", target.gmacs * target.samples}});
    CHECK(std::abs(100 * (1 - prediction.value) - target.accuracy) <
          (target.samples == 34e9 ? 5e-4 : 5e-5));
    REQUIRE(prediction.low);
    CHECK(*prediction.low < prediction.value);
    CHECK(*prediction.high > prediction.value);
  }
}

TEST_CASE("Fit reproduces the linear-probe coefficients of both families") {
  struct Row {
    std::string set, shots;
    double laion_alpha, laion_log_beta, openai_alpha, openai_log_beta;
  };
  const std::vector<Row> rows = {
      {"imagenet1k", "10", -0.13146070, 1.05755934, -0.17566435, 1.54138056},
      {"imagenet1k", "25", -0.12618628, 0.92703027, -0.17877075, 1.50354337},
      {"imagenet1k", "full", -0.12020044, 0.71410972, -0.18009978, 1.36318424},
      {"cifar100", "10", -0.17437949, 1.41119465, -0.19432683, 1.69820658},
      {"cifar100", "25", -0.18484099, 1.44546899, -0.19827113, 1.65290788},
      {"cifar100", "full", -0.17690599, 1.19607582, -0.18168383, 1.30498060},
  };
  for (const Row& row : rows) {
    CAPTURE(row.set, row.shots);
    const auto fit = [&](bool openai) {
      return Fit(
          PublishedPoints(
              "clip_linear_probe.csv", openai, {{"eval_dataset", row.set}, {"shots", row.shots}}),
          {});
    };
    const FitReport laion = fit(false);
    const FitReport openai = fit(true);
    CHECK(std::abs(laion.At("alpha").value - row.laion_alpha) < 1e-8);
    CHECK(std::abs(std::log10(laion.At("beta").value) - row.laion_log_beta) < 1e-8);
    CHECK(std::abs(openai.At("alpha").value - row.openai_alpha) < 1e-8);
    CHECK(std::abs(std::log10(openai.At("beta").value) - row.openai_log_beta) < 1e-8);
  }
}

TEST_CASE("OpenAI's three points get wide t intervals, and their slopes Welch's test") {
  struct Row {
    std::string set;
    double low, high, p, degrees;
  };
  const std::vector<Row> rows = {{"imagenet1k", -.277, -.050, .038, 3.99},
                                 {"imagenet_robustness", -.386, -.090, .005, 3.77},
                                 {"mscoco_captions", -.090, -.012, .067, 3.46},
                                 {"flickr30k", -.294, +.088, .066, 3.93}};
  for (const Row& row : rows) {
    CAPTURE(row.set);
    const FitReport openai = FitCurve(true, row.set);
    CHECK(std::abs(*openai.At("alpha").low - row.low) < 5e-4);
    CHECK(std::abs(*openai.At("alpha").high - row.high) < 5e-4);
    const ExponentDifference difference =
        CompareExponents({"openai", openai}, {"laion", FitCurve(false, row.set, kStudent)});
    CHECK(std::abs(difference.p - row.p) < 5e-4);
    CHECK(std::abs(difference.degrees - row.degrees) < 5e-3);
  }
}

TEST_CASE("CompareExponents says which curve is steeper and whether the data can tell") {
  const auto compare = [](const std::string& set) {
    return CompareExponents({"openai", FitCurve(true, set)},
                            {"laion", FitCurve(false, set, kStudent)});
  };
  CHECK_THAT(compare("imagenet1k").sentence, Catch::StartsWith("openai is steeper"));
  CHECK_THAT(compare("imagenet1k").sentence, Catch::Contains("can tell (Welch p = 0.038)"));
  CHECK_THAT(compare("flickr30k").sentence, Catch::StartsWith("laion is steeper"));
  CHECK_THAT(compare("flickr30k").sentence, Catch::Contains("cannot tell"));
}

// Limits by numpy (percentiles of 4,000 resamples, seed 0: tests/data/fit/bootstrap_limits.py);
// 1,000 draws scatter by ±.005.
TEST_CASE("Resampling the 29 LAION models and binning again gives numpy's intervals") {
  struct Row {
    std::string set;
    double low, high;
  };
  const std::vector<Row> rows = {{"imagenet1k", -.137, -.088},
                                 {"imagenet_robustness", -.146, -.101},
                                 {"mscoco_captions", -.100, -.057},
                                 {"flickr30k", -.240, -.137}};
  for (const Row& row : rows) {
    CAPTURE(row.set);
    const FitReport fit = FitCurve(false, row.set);
    REQUIRE(fit.intervals.kind == IntervalKind::kBootstrap);
    CHECK(std::abs(*fit.At("alpha").low - row.low) < 5e-3);
    CHECK(std::abs(*fit.At("alpha").high - row.high) < 5e-3);
  }
}

TEST_CASE("Resampling three points is flagged") {
  const FitReport fit =
      FitCurve(true, "imagenet1k", {.kind = IntervalKind::kBootstrap, .resamples = 200});
  REQUIRE(!fit.warnings.empty());
  CHECK_THAT(fit.warnings.front(), Catch::Contains("at most 27 draws"));
}
