// One step after another in several real processes, however gradients, optimizer state and weights
// are shared out: against one process, number by number and byte by byte.
#include <ATen/TensorOperators.h>
#include <ATen/ops/count_nonzero.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cctype>
#include <cmath>
#include <string>

#include "tests/trainer/process/forked_ranks.h"
#include "tests/trainer/process/small_steps.h"

namespace sweep {
namespace {

constexpr int64_t kSteps = 5;

struct Setting {
  RunSpec spec;
  StepMemory memory;
};

// The model's masters, in the order of its list.
void AppendMasters(const ParameterStore& parameters, Values& values) {
  std::vector<at::Tensor> buckets;
  for (const ParameterStore::Part& part : parameters.parts())
    buckets.push_back(parameters.WholeBucket(part.master));
  for (size_t i = 0; i < parameters.list().size(); ++i) {
    const ParameterLayout::Span& span = parameters.layout().SpanOf(i);
    const float* const first = buckets[span.bucket].const_data_ptr<float>() + span.begin;
    values.insert(values.end(), first, first + parameters.list()[i].size());
  }
}

struct Outcome {
  Values steps;            // loss and gradient norm of each
  Values before, weights;  // of the whole model
};

// Some steps, as rank 0 sees them.
Outcome Train(const Setting& setting, int64_t processes) {
  const Values values = InProcesses(processes, [&](Peers* peers) {
                          Learner learner(setting.spec, at::kCPU, setting.memory, peers);
                          learner.parameters().Initialize(3);
                          const DeviceBatch batch = ShareOf(setting.spec, peers);
                          Values all;
                          AppendMasters(learner.parameters(), all);
                          for (int64_t step = 0; step < kSteps; ++step) {
                            all.push_back(learner.Gradients(batch).item<double>());
                            all.push_back(learner.GradientNorm());
                            (void)learner.Update(step, step);
                          }
                          AppendMasters(learner.parameters(), all);
                          return all;
                        }).front();
  const auto before_end = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2 - kSteps);
  const auto steps_end = before_end + 2 * kSteps;
  return {{before_end, steps_end}, {values.begin(), before_end}, {steps_end, values.end()}};
}

double Distance(const Values& a, const Values& b) {
  REQUIRE(a.size() == b.size());
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(squares);
}

// Rounding changes a loss, and Adam's first steps, which go by the gradients' signs, a little more.
void CheckSame(const Outcome& several, const Outcome& one, const std::string& precision) {
  const bool exact = precision == "fp32";
  for (size_t i = 0; i < one.steps.size(); ++i)
    CHECK(several.steps[i] == Approx(one.steps[i]).epsilon(exact ? 1e-4 : 3e-2));
  const double moved = Distance(one.weights, one.before);
  CHECK(moved > 0);
  CHECK(Distance(several.weights, one.weights) < (exact ? 1e-3 : 0.2) * moved);
}

using Change = std::function<void(Setting&)>;

void CheckAgainstOneProcess(const std::string& name, const Change& change) {
  Setting setting{SmallSpec(), {}};
  setting.memory.bucket_bytes = kSmallBuckets;
  change(setting);
  const Outcome one = Train(setting, 1);
  for (const int64_t processes : {2, 4}) {
    for (const auto& [word, sharding] : kShardings) {
      setting.memory.sharding = sharding;
      INFO(name << ", " << processes << " processes, sharding " << word);
      CheckSame(Train(setting, processes), one, setting.spec.precision);
    }
  }
}

// Passes calls on, and keeps a record of them.
class RecordingPeers : public Peers {
 public:
  explicit RecordingPeers(Peers& peers) : peers_(peers) {}
  int64_t rank() const override { return peers_.rank(); }
  int64_t size() const override { return peers_.size(); }
  double wait_seconds() const override { return peers_.wait_seconds(); }
  at::Tensor AllGather(const at::Tensor& mine) override { return peers_.AllGather(mine); }
  std::unique_ptr<Pending> StartAllReduce(const at::Tensor& tensor) override {
    return Record('s', peers_.StartAllReduce(tensor));
  }
  std::unique_ptr<Pending> StartReduceScatter(const at::Tensor& whole,
                                              const at::Tensor& part) override {
    return Record('s', peers_.StartReduceScatter(whole, part));
  }
  std::unique_ptr<Pending> StartAllGather(const at::Tensor& part,
                                          const at::Tensor& whole) override {
    return Record('g', peers_.StartAllGather(part, whole));
  }

  std::string calls;  // s: a sum is started, g: a gathering; w: one is waited for
  ParameterStore* parameters =
      nullptr;  // whose backward pass is over, and letters large, at its last sum

 private:
  class Recorded : public Pending {
   public:
    Recorded(std::unique_ptr<Pending> pending, std::string& calls)
        : pending_(std::move(pending)), calls_(calls) {}
    void Wait() override {
      calls_ += 'w';
      pending_->Wait();
    }

   private:
    std::unique_ptr<Pending> pending_;
    std::string& calls_;
  };
  std::unique_ptr<Pending> Record(char letter, std::unique_ptr<Pending> pending) {
    const at::Tensor last = parameters->Get("visual.conv1.weight").gradient;
    const bool over = last.defined() && last.count_nonzero().item<int64_t>() > 0;
    calls += over ? static_cast<char>(std::toupper(letter)) : letter;
    return std::make_unique<Recorded>(std::move(pending), calls);
  }
  Peers& peers_;
};

// The collectives of one backward pass.
std::string CallsOf(const Setting& setting) {
  const Values codes = InProcesses(2, [&](Peers* peers) {
                         RecordingPeers recording(*peers);
                         Learner learner(setting.spec, at::kCPU, setting.memory, &recording);
                         recording.parameters = &learner.parameters();
                         learner.parameters().Initialize(3);
                         recording.calls.clear();
                         (void)learner.Gradients(ShareOf(setting.spec, peers));
                         return Values(recording.calls.begin(), recording.calls.end());
                       }).front();
  return {codes.begin(), codes.end()};
}

}  // namespace

TEST_CASE("However gradients, state and weights are shared out, a step is that of one process",
          "[sharding]") {
  CheckAgainstOneProcess("softmax", [](Setting&) {});
  CheckAgainstOneProcess("sigmoid", [](Setting& s) { s.spec.model.loss = "sigmoid"; });
  CheckAgainstOneProcess("clipped, with rates and decays of their own", [](Setting& s) {
    s.spec.optimizer.grad_clip_norm = 0.1;
    s.spec.optimizer.weight_decay = 0.5;
    s.spec.optimizer.vision = {0.5, 0.7};
    s.spec.optimizer.text = {1.5, 0.9};
  });
  CheckAgainstOneProcess("LAMB, clipped", [](Setting& s) {
    s.spec.optimizer.name = "lamb";
    s.spec.optimizer.weight_decay = 0.1;
    s.spec.optimizer.grad_clip_norm = 0.1;
  });
}

TEST_CASE("Sharding goes with micro-batches, recomputation and 16-bit numbers", "[sharding]") {
  CheckAgainstOneProcess("micro-batches of 3, recomputed", [](Setting& s) {
    s.memory.micro_batch = 3;
    s.memory.recompute = Recompute::kBlocks;
  });
  CheckAgainstOneProcess("layer scales, cheap recomputation", [](Setting& s) {
    s.spec.model.vision.ls_init_value = s.spec.model.text.ls_init_value = 0.1;
    s.memory.recompute = Recompute::kCheap;
  });
  CheckAgainstOneProcess("bf16", [](Setting& s) { s.spec.precision = "bf16"; });
  CheckAgainstOneProcess("bf16, LAMB, micro-batches of 3", [](Setting& s) {
    s.spec.precision = "bf16";
    s.spec.optimizer.name = "lamb";
    s.memory.micro_batch = 3;
  });
}

TEST_CASE("In two processes the weights are the same bytes in whatever buckets and shards",
          "[sharding]") {
  for (const std::string precision : {"fp32", "bf16"}) {
    Setting setting{SmallSpec(), {}};
    setting.spec.precision = precision;
    const Outcome one_bucket = Train(setting, 2);
    for (const auto& [word, sharding] : kShardings) {
      setting.memory = {.sharding = sharding, .bucket_bytes = kSmallBuckets};
      INFO(precision << ", sharding " << word);
      CHECK(Train(setting, 2).weights == one_bucket.weights);
    }
  }
}

TEST_CASE("Gradients are summed while the backward pass goes on, and weights gathered ahead",
          "[sharding]") {
  Setting setting{SmallSpec(), {.bucket_bytes = 1 << 30}};
  CHECK(CallsOf(setting).ends_with("SSww"));
  setting.memory.bucket_bytes = kSmallBuckets;
  const std::string overlapped = CallsOf(setting);
  CHECK(overlapped.ends_with("sssssSSwwwwwww"));
  setting.memory.micro_batch = 4;  // of two pieces only the last is summed
  CHECK(CallsOf(setting).size() == overlapped.size());
  setting.memory.sharding = Sharding::kWeights;
  CHECK_THAT(CallsOf(setting), Catch::Contains("gs") && !Catch::Contains("sssw"));
}

}  // namespace sweep
