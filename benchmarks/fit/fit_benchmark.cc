// Speed of the searches and intervals a scaling-law study spends its time on. peers.py runs scipy
// on the same points alternately.
//   fit_benchmark                          all
//   fit_benchmark --points > points.csv    the Chinchilla points, for peers.py
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#include "fit/fit.h"
#include "fit/sequences.h"

namespace {

using namespace sweep;

// 240 points of the published Chinchilla law: N in 5e7 … 1.5e10, D in 2e9 … 1e12, 1 % noise, every
// twentieth six times that.
PointTable ChinchillaPoints() {
  Random random(7);
  PointTable points{.variables = {"N", "D"}, .columns = {{}, {}}};
  for (int i = 0; i < 240; ++i) {
    const double n = 5e7 * std::pow(300, random.Uniform());
    const double d = 2e9 * std::pow(500, random.Uniform());
    const double noise = 0.01 * random.Normal() * (random.Uniform() < 0.05 ? 6 : 1);
    points.columns[0].push_back(n);
    points.columns[1].push_back(d);
    points.y.push_back((1.69 + 406.4 * std::pow(n, -0.34) + 410.7 * std::pow(d, -0.28)) *
                       std::exp(noise));
  }
  return points;
}

PointTable OffsetPoints() {
  Random random(3);
  PointTable points{.variables = {"C"}, .columns = {{}}};
  for (int i = 0; i < 25; ++i) {
    const double c = 1e7 * std::pow(10, 5.0 * i / 24);
    points.columns[0].push_back(c);
    points.y.push_back((0.1 + 2e3 * std::pow(c + 1e8, -0.35)) * std::exp(0.01 * random.Normal()));
  }
  return points;
}

FitOptions Options(const char* law, const char* loss, const char* intervals) {
  FitOptions options;
  options.law = law;
  options.loss = ParseLoss(loss);
  options.intervals = ParseIntervals(intervals);
  return options;
}

void Run(benchmark::State& state, const PointTable& points, const FitOptions& options) {
  FitReport fit;
  for (auto _ : state) fit = Fit(points, options);
  state.counters["objective"] = fit.objective;
  state.counters["at_best"] =
      static_cast<double>(fit.starts_at_best) / static_cast<double>(fit.starts_polished);
}

void ChinchillaRacedGrid(benchmark::State& state) {
  FitOptions options = Options("chinchilla", "huber:1e-3", "none");
  options.grid = true;
  Run(state, ChinchillaPoints(), options);
}

void ChinchillaEveryStartOfTheGrid(benchmark::State& state) {
  FitOptions options = Options("chinchilla", "huber:1e-3", "none");
  options.grid = true;
  options.race = false;
  Run(state, ChinchillaPoints(), options);
}

void ChinchillaDefault(benchmark::State& state) {
  Run(state, ChinchillaPoints(), Options("chinchilla", "huber:1e-3", "none"));
}

void Chinchilla4000Resamples(benchmark::State& state) {
  Run(state, ChinchillaPoints(), Options("chinchilla", "huber:1e-3", "bootstrap:4000"));
}

void ChinchillaProfileIntervals(benchmark::State& state) {
  Run(state, ChinchillaPoints(), Options("chinchilla", "huber:1e-3", "profile"));
}

void OffsetLaw(benchmark::State& state) {
  Run(state, OffsetPoints(), Options("power_offset", "squared", "none"));
}

BENCHMARK(ChinchillaRacedGrid)->Unit(benchmark::kMillisecond);
BENCHMARK(ChinchillaEveryStartOfTheGrid)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(ChinchillaDefault)->Unit(benchmark::kMillisecond);
BENCHMARK(Chinchilla4000Resamples)->Unit(benchmark::kMillisecond);
BENCHMARK(ChinchillaProfileIntervals)->Unit(benchmark::kMillisecond);
BENCHMARK(OffsetLaw)->Unit(benchmark::kMillisecond);

void PrintPoints() {
  const PointTable points = ChinchillaPoints();
  std::printf("N,D,L\n");
  for (std::size_t i = 0; i < points.size(); ++i) {
    std::printf("%.17g,%.17g,%.17g\n", points.columns[0][i], points.columns[1][i], points.y[i]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--points") == 0) {
    PrintPoints();
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
