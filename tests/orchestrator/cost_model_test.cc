#include "orchestrator/cost_model.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "core/failure.h"
#include "fit/statistics.h"
#include "orchestrator/csv.h"
#include "orchestrator/data_files.h"
#include "orchestrator/local_gpus.h"
#include "orchestrator/memory_shortage.h"
#include "tests/support/sample_rows.h"

namespace sweep {
namespace {

Workplace Here() {
  Workplace place;
  place.executor = "local";
  place.host = "here";
  place.accelerator = LoadAccelerators().at("core");
  return place;
}

MeasuredRates RatesOf(const RunSpec& spec, std::vector<double> samples_per_second) {
  MeasuredRates rates;
  rates.model = CanonicalDump(FieldsToJson(spec.model));
  rates.precision = spec.precision;
  rates.reduction = CanonicalDump(FieldsToJson(spec.reduction));
  rates.device = "cpu";
  rates.threads = 1;
  rates.samples_per_second = std::move(samples_per_second);
  return rates;
}

Probe ProbeOf(const RunSpec& spec, double samples_per_second) {
  Probe probe;
  probe.host = "here";
  probe.request = ProbeRequestFor(spec, 1, "auto");
  probe.device = "cpu";
  probe.samples_per_second = samples_per_second;
  return probe;
}

SweepJob JobOf(std::vector<RunRow> runs) {
  SweepJob job;
  static_cast<SweepRow&>(job.sweep) = SampleSweepRow(std::move(runs));
  job.executor.slots = 2;
  return job;
}

PlanCost CostOfAll(const SweepJob& job, const TrainRates& rates) {
  return CostOf(RunPlan(job.sweep, {}, {}, false).Remaining(), job, rates);
}

constexpr const char* kPublishedRuns = SWEEP_SOURCE_DIR "/../shared/published/clip_runs.csv";

// One of the 29 published runs of LAION, and what the model says of it.
struct PublishedRun {
  std::string model;
  double actual_hours = 0;
  RangedEstimate predicted_hours;
};

// GPUs x seconds at the published rate; and by the share of an A100's peak that is assumed.
std::vector<PublishedRun> PublishedRuns() {
  const Catalog catalog = LoadCatalog(DataPath(""));
  const Table table = ReadCsv(kPublishedRuns);
  ExecutorSettings executor;
  executor.kind = "slurm";
  const TrainRates rates(WorkplaceOf(executor, {}, "a100"), {}, {});
  std::vector<PublishedRun> runs;
  for (const auto& row : table.rows) {
    const auto cell = [&](const char* column) { return row.at(table.Find(column)); };
    RunSpec spec;
    spec.model = catalog.models.at(cell("model")).spec;
    spec.precision = "bf16";
    spec.samples_seen = std::stoll(cell("epochs")) * std::stoll(cell("samples_per_epoch"));
    const RangedEstimate seconds = TrainSeconds(spec, rates);
    runs.push_back({cell("model"),
                    static_cast<double>(spec.samples_seen) / std::stod(cell("samples_per_second")) *
                        std::stod(cell("gpus")) / kSecondsPerHour,
                    {seconds.low / kSecondsPerHour,
                     seconds.middle / kSecondsPerHour,
                     seconds.high / kSecondsPerHour}});
  }
  return runs;
}

struct Totals {
  double actual = 0;
  double predicted = 0;
  double least_ratio = 1e9;  // predicted / actual of one run
  double most_ratio = 0;
  [[nodiscard]] double ratio() const { return predicted / actual; }
};

Totals TotalsOf(const std::vector<PublishedRun>& runs, const std::string& model) {
  Totals totals;
  for (const PublishedRun& run : runs) {
    if (!model.empty() && run.model != model) continue;
    const double ratio = run.predicted_hours.middle / run.actual_hours;
    totals.actual += run.actual_hours;
    totals.predicted += run.predicted_hours.middle;
    totals.least_ratio = std::min(totals.least_ratio, ratio);
    totals.most_ratio = std::max(totals.most_ratio, ratio);
  }
  return totals;
}

}  // namespace

TEST_CASE("The published runs cost what docs/cluster.md says the model says of them") {
  if (!std::filesystem::exists(kPublishedRuns)) {
    WARN("no published table beside the repository: skipped");
    return;
  }
  const std::vector<PublishedRun> runs = PublishedRuns();
  REQUIRE(runs.size() == 29);
  for (const PublishedRun& run : runs) {
    CHECK(run.actual_hours >= run.predicted_hours.low);
    CHECK(run.actual_hours <= run.predicted_hours.high);
  }
  // GPU-hours, predicted / actual, and the same of the two worst single runs.
  const std::map<std::string, std::vector<double>> documented = {
      {"ViT-B-32", {107505, 0.42, 0.25, 0.93}},
      {"ViT-B-16", {132132, 0.96, 0.69, 1.21}},
      {"ViT-L-14", {479624, 1.11, 0.86, 2.31}},
      {"ViT-H-14", {229665, 1.19, 1.19, 1.19}},
      {"ViT-g-14", {109392, 1.33, 1.33, 1.33}},
      {"", {1058318, 1.06, 0.25, 2.31}},
  };
  for (const auto& [model, numbers] : documented) {
    const Totals totals = TotalsOf(runs, model);
    INFO(model);
    CHECK(totals.actual == Approx(numbers[0]).margin(0.5));
    CHECK(totals.ratio() == Approx(numbers[1]).margin(0.005));
    CHECK(totals.least_ratio == Approx(numbers[2]).margin(0.005));
    CHECK(totals.most_ratio == Approx(numbers[3]).margin(0.005));
  }
}

TEST_CASE("A rate is measured before it is probed before it is assumed") {
  const RunSpec spec = SampleRunSpec();
  const TrainRate assumed = TrainRates(Here(), {}, {}).For(spec);
  CHECK(assumed.source == RateSource::kAssumed);
  CHECK(assumed.samples_per_second.middle == Approx(0.5 * 174e9 / TrainFlopsPerSample(spec)));
  const TrainRate probed = TrainRates(Here(), {}, {ProbeOf(spec, 70)}).For(spec);
  CHECK(probed.source == RateSource::kProbed);
  CHECK(probed.samples_per_second.middle == Approx(70));
  MeasuredRates unsaid = RatesOf(spec, {50});
  unsaid.device.clear();
  const TrainRate measured =
      TrainRates(Here(), {RatesOf(spec, {40, 60}), unsaid}, {ProbeOf(spec, 70)}).For(spec);
  CHECK(measured.source == RateSource::kMeasured);
  CHECK(measured.samples_per_second.low == 40);
  CHECK(measured.samples_per_second.middle == 50);
  CHECK(measured.samples_per_second.high == 60);
}

TEST_CASE("What was measured otherwise or for another model is no measurement") {
  const RunSpec spec = SampleRunSpec();
  std::vector<MeasuredRates> others(4, RatesOf(spec, {40}));
  others[0].processes = 2;
  others[1].threads = 2;
  others[2].device = "cuda:0";
  others[3].precision = "bf16";
  RunSpec wider = spec;
  wider.model.embed_dim *= 2;
  others.push_back(RatesOf(wider, {40}));
  for (const MeasuredRates& other : others)
    CHECK(TrainRates(Here(), {other}, {}).For(spec).source == RateSource::kAssumed);
  Workplace imagined = Here();
  imagined.imagined = true;
  CHECK(TrainRates(imagined, {RatesOf(spec, {40})}, {}).For(spec).source == RateSource::kAssumed);
}

TEST_CASE("A run that drops patches is as fast as such runs were, or as its probe by its FLOPs") {
  const RunSpec full = SampleRunSpec();
  RunSpec half = full;
  half.reduction.patch_dropout = 0.5;
  const double work = TrainFlopsPerSample(half) / TrainFlopsPerSample(full);
  REQUIRE(work < 0.8);
  const TrainRate probed = TrainRates(Here(), {RatesOf(full, {40})}, {ProbeOf(full, 70)}).For(half);
  CHECK(probed.source == RateSource::kProbed);
  CHECK(probed.samples_per_second.middle == Approx(70 / work));
  const TrainRate measured =
      TrainRates(Here(), {RatesOf(half, {50})}, {ProbeOf(full, 70)}).For(half);
  CHECK(measured.samples_per_second.middle == 50);
  const StepSize step{128, 0, false};
  CHECK(EstimateTrainMemory(half.model, step, half.reduction).activations <
        EstimateTrainMemory(full.model, step).activations);
}

TEST_CASE("A plan's hours are all runs', its time that of its slots or of its longest chain") {
  RunRow parent = SampleRunRow(1);
  RunRow child = SampleRunRow(2);
  child.spec.start.run_id = parent.run_id;
  child.spec.start.samples_seen = parent.spec.samples_seen;
  child.run_id = RunId(child.spec);
  const SweepJob job = JobOf({parent, child});
  // 1,024 samples at 1 a second, single measurements being good to a factor.
  const PlanCost cost = CostOfAll(job, {Here(), {RatesOf(parent.spec, {1})}, {}});
  CHECK(cost.device_hours.middle == Approx(2 * 1024 / kSecondsPerHour));
  CHECK(cost.device_hours.low < cost.device_hours.middle);
  CHECK(cost.device_hours.high > cost.device_hours.middle);
  REQUIRE(cost.elapsed_seconds);
  CHECK(cost.elapsed_seconds->middle == Approx(2 * 1024));  // one after the other
  const PlanCost apart =
      CostOfAll(JobOf({parent, SampleRunRow(3)}), {Here(), {RatesOf(parent.spec, {1})}, {}});
  CHECK(apart.elapsed_seconds->middle == Approx(1024));  // side by side
}

TEST_CASE("A plan's memory is that of a process with its share of what the processes share out") {
  SweepJob job = JobOf({SampleRunRow(1)});
  const auto memory = [&](const std::string& sharding, int64_t processes) {
    job.trainer.sharding = sharding;
    job.executor.processes_per_run = processes;
    const PlanCost cost = CostOfAll(job, {Here(), {}, {}});
    return cost.runs.begin()->second.memory.state;
  };
  CHECK(memory("optimizer", 1) == memory("none", 1));
  CHECK(memory("none", 8) == memory("none", 1));
  CHECK(memory("weights", 8) < memory("weights", 2));
  CHECK(memory("weights", 2) < memory("none", 2));
}

TEST_CASE("Disk is for the checkpoints that are kept") {
  RunRow run = SampleRunRow(1);
  const double one = CheckpointBytes(run.spec.model);
  CHECK(CostOfAll(JobOf({run}), {Here(), {RatesOf(run.spec, {1e6})}, {}}).disk_bytes == one);
  // 1,024 s: one before the last was due too.
  CHECK(CostOfAll(JobOf({run}), {Here(), {RatesOf(run.spec, {1})}, {}}).disk_bytes == 2 * one);
  EvaluationRequest half;
  half.samples_seen = run.spec.samples_seen / 2;
  run.evaluations = {half};
  CHECK(CostOfAll(JobOf({run}), {Here(), {RatesOf(run.spec, {1e6})}, {}}).disk_bytes == 2 * one);
}

TEST_CASE("A budget is for the upper end of what a plan may cost") {
  PlanCost cost;
  cost.device_hours = {1, 2, 3};
  CHECK_NOTHROW(RequireBudget(cost, Here(), 3));
  try {
    RequireBudget(cost, Here(), 2.9);
    FAIL("expected a refusal");
  } catch (const Failure& failure) {
    CHECK(failure.exit_code() == 4);
    CHECK_THAT(failure.what(), Catch::Contains("2 core-hours (1 to 3)"));
  }
}

TEST_CASE("A probe is advised where one would say more than is known") {
  PlanCost cost;
  cost.device_hours = {1, 2, 3};
  cost.runs["measured"].rate.source = RateSource::kMeasured;
  CHECK_THROWS_WITH(RequireBudget(cost, Here(), 1), !Catch::Contains("--probe"));
  cost.runs["unknown"].rate.source = RateSource::kAssumed;
  CHECK_THROWS_WITH(RequireBudget(cost, Here(), 1), Catch::Contains("--probe"));
  Workplace elsewhere = Here();
  elsewhere.imagined = true;
  CHECK_THROWS_WITH(RequireBudget(cost, elsewhere, 1), !Catch::Contains("--probe"));
}

// What `trainer` would have to be for the sample run on a GPU with so much of what it takes now.
std::optional<MemoryShortage> ShortageAt(double share, int64_t processes) {
  RunRow run = SampleRunRow();
  run.spec.global_batch_size = 4096;
  run.spec.model.vision.layers = 12;
  SweepJob job = JobOf({run});
  job.executor.processes_per_run = processes;
  Workplace place = Here();
  const PlanCost cost = CostOfAll(job, TrainRates(place, {}, {}));
  place.gpu_bytes = (share * cost.most_memory_bytes - RoomOnGpu(0)) / (RoomOnGpu(1) - RoomOnGpu(0));
  return FindMemoryShortage(RunPlan(job.sweep, {}, {}, false).Remaining(), job, place, cost);
}

TEST_CASE("The least change of settings with which runs fit is advised") {
  CHECK_FALSE(ShortageAt(1.01, 1));
  const auto little = ShortageAt(0.9, 1);
  REQUIRE(little->remedy);
  CHECK(little->remedy->recompute == "cheap");
  CHECK(little->remedy->micro_batch == 0);
  const auto more = ShortageAt(0.25, 1);
  REQUIRE(more->remedy);
  CHECK(more->remedy->recompute == "blocks");
  CHECK(more->remedy_bytes <= 0.25 * more->most_bytes);
  CHECK_THAT(AdviceText(*more, {}), Catch::Contains("\"recompute\":\"blocks\""));
  const auto hopeless = ShortageAt(1e-6, 4);
  CHECK_FALSE(hopeless->remedy);
  CHECK_THAT(AdviceText(*hopeless, {}), Catch::Contains("gpus_per_run"));
}

TEST_CASE("GPU-hours are counted where runs use GPUs, core-hours elsewhere") {
  ExecutorSettings executor;
  executor.threads_per_run = 4;
  TrainerSettings trainer;
  trainer.device = "cpu";
  CHECK(WorkplaceOf(executor, trainer, "").devices == 4);
  CHECK(WorkplaceOf(executor, trainer, "").hours_unit() == std::string("core-hours"));
  executor.gpus_per_run = 8;
  CHECK(WorkplaceOf(executor, trainer, "").devices == 8);
  CHECK(WorkplaceOf(executor, trainer, "").hours_unit() == std::string("GPU-hours"));
  CHECK_THROWS_WITH(WorkplaceOf(executor, trainer, "abacus"),
                    Catch::Contains("'abacus'") && Catch::Contains("a100, core, h100, h200"));
}

}  // namespace sweep
