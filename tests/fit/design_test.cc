#include "fit/design.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "fit/fit.h"
#include "fit/predict.h"
#include "tests/fit/published_points.h"
#include "tests/fit/simulated_points.h"

namespace sweep {
namespace {

// A grid whose every run has been made: what a strategy may look at, one by one, for its cost.
struct RecordedGrid {
  std::string law;
  PointTable runs;
  std::vector<double> costs;
  Target target;
  double truth = 0;  // at the target
};

constexpr double kNoise = 0.01;
constexpr std::size_t kBatch = 5;

enum class Strategy { kSuggest, kVOptimal, kRandom, kCheapest };

Target AtRun(const RecordedGrid& grid, std::size_t i) {
  Target at;
  for (std::size_t v = 0; v < grid.runs.variables.size(); ++v)
    at[grid.runs.variables[v]] = grid.runs.columns[v][i];
  return at;
}

class Experimenter {
 public:
  Experimenter(const RecordedGrid& grid,
               double budget,
               std::vector<std::size_t> first,
               std::uint64_t seed)
      : grid_(grid), left_(budget), taken_(std::move(first)), random_(seed) {
    for (const std::size_t i : taken_) left_ -= grid_.costs[i];
  }

  /// |ln of predicted over true| at the target once the budget is spent.
  double Error(Strategy strategy) {
    while (true) {
      const std::vector<std::size_t> batch = Next(strategy);
      if (batch.empty()) break;
      for (const std::size_t i : batch) {
        taken_.push_back(i);
        left_ -= grid_.costs[i];
      }
    }
    FitOptions options;
    options.law = grid_.law;
    options.intervals.kind = IntervalKind::kNone;
    const FitReport report = Fit(grid_.runs.Subset(taken_), options);
    return std::abs(std::log(Predict(report, grid_.target).value / grid_.truth));
  }

 private:
  std::vector<std::size_t> Affordable() const {
    std::vector<std::size_t> runs;
    for (std::size_t i = 0; i < grid_.costs.size(); ++i) {
      const bool taken = std::find(taken_.begin(), taken_.end(), i) != taken_.end();
      if (!taken && grid_.costs[i] <= left_) runs.push_back(i);
    }
    return runs;
  }

  std::vector<std::size_t> Next(Strategy strategy) {
    const std::vector<std::size_t> runs = Affordable();
    if (runs.empty()) return {};
    switch (strategy) {
      case Strategy::kRandom:
        return {runs[random_.Index(runs.size())]};
      case Strategy::kCheapest:
        return {*std::min_element(runs.begin(), runs.end(), [&](std::size_t a, std::size_t b) {
          return grid_.costs[a] < grid_.costs[b];
        })};
      default:
        return Designed(runs, strategy == Strategy::kSuggest);
    }
  }

  // A few at a time, then the law is fitted again.
  std::vector<std::size_t> Designed(const std::vector<std::size_t>& runs, bool several) const {
    std::vector<Candidate> candidates;
    for (const std::size_t i : runs)
      candidates.push_back({.at = AtRun(grid_, i), .cost = grid_.costs[i]});
    FitOptions options;
    options.law = grid_.law;
    const Design design = ChooseMeasurements({{grid_.runs.Subset(taken_), options, grid_.target}},
                                             candidates,
                                             {.budget = left_, .several_optima = several});
    std::vector<std::size_t> batch;
    for (const DesignStep& step : design.steps) {
      if (batch.size() < kBatch) batch.push_back(runs[step.candidate]);
    }
    return batch;
  }

  const RecordedGrid& grid_;
  double left_;
  std::vector<std::size_t> taken_;
  Random random_;
};

double Chinchilla(double n, double d) {
  return 1.69 + 406.4 * std::pow(n, -0.34) + 410.7 * std::pow(d, -0.28);
}

void AddRun(RecordedGrid& grid, double n, double d, Random& random) {
  grid.runs.columns[0].push_back(n);
  grid.runs.columns[1].push_back(d);
  grid.runs.y.push_back(Chinchilla(n, d) * std::exp(kNoise * random.Normal()));
  grid.costs.push_back(6 * n * d);
}

RecordedGrid EmptyGrid() {
  return {.law = "chinchilla",
          .runs = {.variables = {"N", "D"}, .columns = {{}, {}}},
          .costs = {},
          .target = {{"N", 1e10}, {"D", 1e12}},
          .truth = Chinchilla(1e10, 1e12)};
}

// Sizes times lengths, `seeds` runs of each.
RecordedGrid Rectangle(std::size_t side, int seeds, std::uint64_t seed) {
  RecordedGrid grid = EmptyGrid();
  Random random(seed);
  for (const double n : LogSpaced(1e8, 3e9, side)) {
    for (const double d : LogSpaced(1e10, 3e11, side)) {
      for (int s = 0; s < seeds; ++s) AddRun(grid, n, d, random);
    }
  }
  return grid;
}

// Profiles of equal compute.
RecordedGrid Profiles(std::uint64_t seed) {
  RecordedGrid grid = EmptyGrid();
  Random random(seed);
  for (const double c : LogSpaced(1e18, 1e21, 10)) {
    for (const double ratio : LogSpaced(0.2, 5, 15)) {
      const double n = std::sqrt(c / 120) * ratio;
      AddRun(grid, n, c / 6 / n, random);
    }
  }
  return grid;
}

// One axis of compute and a floor that the cheap runs are far above; five seeds each.
RecordedGrid WithFloor(std::uint64_t seed) {
  const auto law = [](double c) { return 0.15 + 20 * std::pow(c, -0.25); };
  RecordedGrid grid{.law = "power_floor",
                    .runs = {.variables = {"C"}, .columns = {{}}},
                    .costs = {},
                    .target = {{"C", 1e12}},
                    .truth = law(1e12)};
  Random random(seed);
  for (const double c : LogSpaced(1e6, 1e10, 12)) {
    for (int s = 0; s < 5; ++s) {
      grid.runs.columns[0].push_back(c);
      grid.runs.y.push_back(law(c) * std::exp(kNoise * random.Normal()));
      grid.costs.push_back(c);
    }
  }
  return grid;
}

std::vector<std::size_t> Cheapest(const RecordedGrid& grid, std::size_t count) {
  std::vector<std::size_t> runs(grid.costs.size());
  std::iota(runs.begin(), runs.end(), 0U);
  std::stable_sort(runs.begin(), runs.end(), [&](std::size_t a, std::size_t b) {
    return grid.costs[a] < grid.costs[b];
  });
  runs.resize(count);
  return runs;
}

// Designs between which strategies differ: each is made anew, with other noise, for every
// experiment.
struct GridKind {
  const char* name;
  RecordedGrid (*make)(std::uint64_t seed);
  std::size_t first;  // how many of the cheapest runs every strategy begins with
};
const GridKind kGrids[] = {
    {"sizes x lengths", [](std::uint64_t seed) { return Rectangle(8, 1, seed); }, 8},
    {"with seeds", [](std::uint64_t seed) { return Rectangle(6, 4, seed); }, 20},
    {"iso-FLOP profiles", Profiles, 20},
    {"one axis and a floor", WithFloor, 8},
};

double ErrorOn(const RecordedGrid& grid,
               Strategy strategy,
               double share,
               std::size_t first,
               std::uint64_t seed) {
  const double all = std::accumulate(grid.costs.begin(), grid.costs.end(), 0.0);
  return Experimenter(grid, share * all, Cheapest(grid, first), seed).Error(strategy);
}

double MeanError(const GridKind& kind, Strategy strategy, double share, int experiments) {
  double sum = 0;
  for (int e = 0; e < experiments; ++e) {
    const auto seed = static_cast<std::uint64_t>(e) + 1;
    sum += ErrorOn(kind.make(seed), strategy, share, kind.first, seed);
  }
  return sum / experiments;
}

// LAION's runs on its two large sets; what is asked is the error of the largest model, which no
// strategy may train.
RecordedGrid Published(const std::string& eval_dataset, const std::string& metric) {
  RecordedGrid grid{
      .law = "power", .runs = {.variables = {"C"}, .columns = {{}}}, .costs = {}, .target = {}};
  const PointTable all = PublishedPoints(
      "clip_zeroshot.csv", false, {{"eval_dataset", eval_dataset}, {"metric", metric}});
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double c = all.columns[0][i];
    if (all.labels[i].starts_with("ViT-H-14")) {
      grid.target = {{"C", c}};
      grid.truth = all.y[i];
    } else if (all.labels[i].find("80M") == std::string::npos) {
      grid.runs.columns[0].push_back(c);
      grid.runs.y.push_back(all.y[i]);
      grid.costs.push_back(c);
    }
  }
  return grid;
}

}  // namespace

TEST_CASE("Chosen runs extrapolate better than random or cheap ones, at 5 and 10 % of the budget") {
  const int experiments = Experiments(40);
  double to_random = 0, to_cheapest = 0, to_v_optimal = 0;
  for (const GridKind& kind : kGrids) {
    for (const double share : {0.05, 0.10}) {
      const double own = MeanError(kind, Strategy::kSuggest, share, experiments);
      const auto ratio = [&](Strategy strategy) {
        return std::log(own / MeanError(kind, strategy, share, experiments)) / 8;
      };
      to_random += ratio(Strategy::kRandom);
      to_cheapest += ratio(Strategy::kCheapest);
      to_v_optimal += ratio(Strategy::kVOptimal);
    }
  }
  INFO("error over that of random " << std::exp(to_random) << ", cheapest first "
                                    << std::exp(to_cheapest) << ", V-optimal "
                                    << std::exp(to_v_optimal));
  CHECK(std::exp(to_random) < (kShortSimulations ? 1.2 : 0.85));
  CHECK(std::exp(to_cheapest) < (kShortSimulations ? 1.2 : 0.92));
  CHECK(std::exp(to_v_optimal) < (kShortSimulations ? 1.4 : 1.08));
}

TEST_CASE("On LAION's recorded runs, chosen ones extrapolate better than random or cheap ones") {
  double suggested = 0, random = 0, cheapest = 0;
  for (const auto& [eval_dataset, metric] : std::vector<std::pair<std::string, std::string>>{
           {"imagenet1k", "acc1"},
           {"imagenet_robustness", "acc1"},
           {"vtab+", "acc1"},
           {"flickr30k", "image_retrieval_recall@5"},
           {"flickr30k", "text_retrieval_recall@5"},
           {"mscoco_captions", "image_retrieval_recall@5"},
           {"mscoco_captions", "text_retrieval_recall@5"}}) {
    const RecordedGrid grid = Published(eval_dataset, metric);
    for (const double share : {0.05, 0.10}) {
      suggested += ErrorOn(grid, Strategy::kSuggest, share, 4, 1) / 14;
      cheapest += ErrorOn(grid, Strategy::kCheapest, share, 4, 1) / 14;
      for (std::uint64_t draw = 0; draw < 50; ++draw)
        random += ErrorOn(grid, Strategy::kRandom, share, 4, draw) / 50 / 14;
    }
  }
  INFO("mean error: suggested " << suggested << ", random " << random << ", cheapest first "
                                << cheapest);
  CHECK(suggested < 0.7 * random);
  CHECK(suggested < 0.85 * cheapest);
}

TEST_CASE("For the log-log line the choice is the one that brute force finds") {
  // ln y = a + b ln C: the variance at the target after one more point is known in closed form.
  const PointTable points =
      Simulate("C", LogSpaced(1, 1e4, 9), [](double c) { return 3 * std::pow(c, -0.3); }, 0.01, 3);
  FitOptions options;
  options.law = "power";
  const double target = 1e6;
  const std::vector<double> places = {0.5, 10, 3e3, 1e5, 3e5};
  std::vector<Candidate> candidates;
  for (const double c : places) candidates.push_back({.at = {{"C", c}}, .cost = 1});
  const Design design =
      ChooseMeasurements({{points, options, {{"C", target}}}}, candidates, {.most = 1});
  const auto sd_with = [&](double added) {
    std::vector<double> x;
    for (const double c : points.columns[0]) x.push_back(std::log(c));
    if (added > 0) x.push_back(std::log(added));
    const auto n = static_cast<double>(x.size());
    const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
    double square = 0;
    for (const double v : x) square += (v - mean) * (v - mean);
    const double away = std::log(target) - mean;
    return std::sqrt(1 / n + away * away / square) * design.questions[0].scatter;
  };
  REQUIRE(design.steps.size() == 1);
  CHECK(places[design.steps[0].candidate] == 3e5);
  CHECK(design.questions[0].before == Approx(sd_with(0)).epsilon(1e-3));
  CHECK(design.questions[0].after == Approx(sd_with(3e5)).epsilon(1e-3));
}

TEST_CASE("A floor that the points cannot see is not taken for known") {
  const PointTable points = Simulate(
      "C", LogSpaced(1, 100, 8), [](double c) { return 0.001 + std::pow(c, -0.2); }, 0.01, 5);
  FitOptions options;
  options.law = "power_floor";
  const std::vector<Candidate> candidates = {{.at = {{"C", 10}}, .cost = 1},
                                             {.at = {{"C", 1e4}}, .cost = 1}};
  const std::vector<DesignQuestion> question = {{points, options, {{"C", 1e6}}}};
  const Design several = ChooseMeasurements(question, candidates, {.most = 1});
  const Design one = ChooseMeasurements(question, candidates, {.most = 1, .several_optima = false});
  CHECK(several.questions[0].fits > 1);
  CHECK(several.questions[0].before > 0.1);  // a floor may be anything up to the last points
  CHECK(several.questions[0].before > one.questions[0].before);
  CHECK(several.steps.at(0).candidate == 1);
}

TEST_CASE("A budget is kept, and what lies on the way is paid for once") {
  const PointTable points =
      Simulate("C", LogSpaced(1, 100, 6), [](double c) { return 2 * std::pow(c, -0.2); }, 0.01, 7);
  FitOptions options;
  options.law = "power";
  // The trunk has two branches; the third stands alone and is too dear.
  const std::vector<Candidate> candidates = {{.at = {{"C", 200}}, .cost = 10},
                                             {.at = {{"C", 1000}}, .cost = 1, .after = 0},
                                             {.at = {{"C", 2000}}, .cost = 1, .after = 0},
                                             {.at = {{"C", 1e4}}, .cost = 100}};
  const Design design =
      ChooseMeasurements({{points, options, {{"C", 1e5}}}}, candidates, {.budget = 12});
  double cost = 0;
  for (const DesignStep& step : design.steps) {
    cost += step.cost;
    CHECK(step.candidate != 3);
  }
  CHECK(cost == 12);
  CHECK(design.questions[0].after < design.questions[0].before);

  // A trunk that says nothing of the law is never chosen, but its branches pay for it.
  std::vector<Candidate> unobserved = candidates;
  unobserved[0].observed = false;
  const Design branches =
      ChooseMeasurements({{points, options, {{"C", 1e5}}}}, unobserved, {.budget = 12});
  REQUIRE(branches.steps.size() == 2);
  CHECK(branches.steps[0].cost == 11);
  CHECK(branches.steps[1].cost == 1);
  CHECK(branches.steps[0].candidate != 0);
  CHECK(branches.steps[1].candidate != 0);
}

}  // namespace sweep
