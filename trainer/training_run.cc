#include "trainer/training_run.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ranges>
#include <set>

#include "core/compute.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/json_fields.h"
#include "core/provenance.h"
#include "trainer/checkpoint_folder.h"
#include "trainer/device.h"
#include "trainer/instability.h"
#include "trainer/learner.h"
#include "trainer/matrix_product.h"
#include "trainer/starting_weights.h"
#include "trainer/stopwatch.h"
#include "trainer/training_data.h"
#include "trainer/transfer.h"
#include "trainer/version.h"
#include "trainer/weights.h"

namespace sweep {
namespace {

constexpr double kSecondsBetweenStepEvents = 2;
constexpr double kTolerableDataWait = 0.05;  // share of the time
constexpr size_t kStepsInFinalLoss = 100;
// Seconds that one of several processes waits for its data when asked to stop.
constexpr double kPatienceWithPeers = 10;

// Checkpoints that someone still needs: an evaluation, a child run, or whoever wrote keep_at.
std::set<int64_t> NeededCheckpoints(const AttemptContext& context) {
  std::set<int64_t> needed(context.request.keep_at.begin(), context.request.keep_at.end());
  for (const EvaluationRequest& evaluation : context.request.evaluations)
    needed.insert(evaluation.samples_seen);
  needed.insert(context.spec.samples_seen);
  return needed;
}

std::string HostName() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

class TrainingRun {
 public:
  explicit TrainingRun(const AttemptContext& context)
      : context_(context),
        spec_(context.spec),
        device_(ChooseDevice(context.request.device, context.local_rank)),
        batch_size_(context.spec.global_batch_size / context.request.processes),
        needed_(NeededCheckpoints(context)),
        peak_flops_(PeakFlops(device_, spec_.precision)),
        watch_(spec_.instability) {}

  void Run() {
    const auto checkpoint = NewestCheckpoint(
        context_.directory,
        context_.request.run_id,
        [](const std::string& text) {
          std::fprintf(stderr, "clip_train: passing over a checkpoint: %s\n", text.c_str());
        },
        [](const StoredCheckpoint& stored) { RequireFiniteWeights(stored.folder); });
    threads_ = checkpoint ? checkpoint->manifest.threads : context_.request.threads;
    micro_batch_ = checkpoint ? checkpoint->manifest.micro_batch : context_.request.micro_batch;
    SetThreads(threads_);
    SetPrecision(device_, spec_.precision);
    learner_.emplace(spec_,
                     device_,
                     StepMemory{micro_batch_,
                                ParseRecompute(context_.request.recompute),
                                ParseSharding(context_.request.sharding)},
                     context_.peers);
    WriteStarted(checkpoint, context_.request.cuda_graphs && learner_->RecordSteps());
    if (checkpoint) {
      Resume(*checkpoint);
    } else {
      Start();
    }
    TrainSteps();
    if (outcome_ == "completed") Checkpoint();
    if (leads()) PublishResult();
  }

 private:
  void WriteStarted(const std::optional<StoredCheckpoint>& checkpoint, bool graph) {
    Json event{{"host", HostName()},
               {"pid", ::getpid()},
               {"device", device_.str()},
               {"threads", threads_},
               {"processes", context_.request.processes},
               {"sharding", context_.request.sharding},
               {"cuda_graphs", graph},
               {"program", kProgramVersion},
               {"build", BuildProvenance()},
               {"machine", MachineProvenance()},
               {"matrix_library", NameOf(CpuMatrixLibrary())},
               {"command", CommandLine()}};
    if (checkpoint) event["resumed_from"] = checkpoint->manifest.samples_seen;
    context_.events.Write("started", std::move(event));
  }

  void Resume(const StoredCheckpoint& checkpoint) {
    LoadStep(checkpoint);
    watch_.Restore(checkpoint.manifest.stability);
    seconds_before_ = checkpoint.manifest.train_seconds;
  }

  void LoadStep(const StoredCheckpoint& checkpoint) {
    losses_ = LoadState(checkpoint.folder, *learner_);
    learner_->SetLossScale(checkpoint.manifest.loss_scale);
    step_ = checkpoint.manifest.step;
  }

  void Start() {
    learner_->parameters().Initialize(spec_.seed);
    const StartSpec& start = spec_.start;
    LoadFile(start.file, std::nullopt);
    LoadFile(start.vision_file, Tower::kVision);
    LoadFile(start.text_file, Tower::kText);
    if (!start.run_id.empty()) StartFromParent();
  }

  void LoadFile(const std::string& content, std::optional<Tower> tower) {
    if (content.empty()) return;
    const std::string path = context_.data.Locate(content, "the starting weights");
    LoadStartingWeights(path, tower, learner_->parameters());
  }

  void StartFromParent() {
    const std::string folder = context_.data.Locate(spec_.start.run_id, "the parent's checkpoint");
    const StoredCheckpoint parent = OpenCheckpoint(folder);
    if (parent.manifest.run_id != spec_.start.run_id ||
        parent.manifest.samples_seen != spec_.start.samples_seen) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}: is run {} after {} samples, expected run {} after {}",
                                folder,
                                parent.manifest.run_id,
                                parent.manifest.samples_seen,
                                spec_.start.run_id,
                                spec_.start.samples_seen));
    }
    LoadStartingWeights(parent.folder / kModelFile, std::nullopt, learner_->parameters());
  }

  void TrainSteps() {
    data_ = std::make_unique<TrainingData>(spec_, context_.data);
    run_watch_.Restart();
    since_checkpoint_.Restart();
    since_event_.Restart();
    if (rewinds() && step_ == 0) Checkpoint();
    while (Unfinished()) {
      data_->Start(LoaderOptions());
      TrainOn();
    }
    data_.reset();
  }

  [[nodiscard]] bool Unfinished() const { return step_ < spec_.steps() && outcome_ == "completed"; }

  // Batches that rewinds left out shift all that follow.
  [[nodiscard]] BatchLoader::Options LoaderOptions() const {
    const int64_t skipped = watch_.state().skipped_batches * spec_.global_batch_size;
    return {.batch_size = batch_size_,
            .first_sample = skipped + SamplesSeen() + rank() * batch_size_,
            .end_sample = skipped + spec_.samples_seen,
            .threads = context_.request.data_threads,
            .stride = spec_.global_batch_size,
            .device = device_,
            .give_up = [this](double waited) { return StopsWaiting(waited); }};
  }

  // Several processes end after the same step, so each first has a chance to get there.
  [[nodiscard]] bool StopsWaiting(double waited_seconds) const {
    const double patience = context_.peers != nullptr ? kPatienceWithPeers : 0;
    return waited_seconds >= patience && context_.signals.StopRequested();
  }

  // Asked to stop while the next batch does not come.
  [[noreturn]] void StopWithoutBatch() {
    // Its threads may hang in a read that never ends; the end of the process ends them.
    (void)data_.release();
    if (context_.peers == nullptr) Checkpoint();  // which else the others would have to join
    throw Failure(
        FailureCode::kInterrupted,
        fmt::format("stopped by a signal after {} samples, waiting for data", SamplesSeen()));
  }

  // To the end of the run, or to a rewind.
  void TrainOn() {
    const int64_t first = step_;
    steps_since_loader_ = 0;
    while (Unfinished()) {
      const bool went_on = OneStep();
      if (!went_on) return;
      for (const UnusablePair& pair : data_->TakeUnusable())
        context_.events.Write("unusable_pair", {{"name", pair.name}, {"problem", pair.problem}});
      const bool edge = step_ == first + 1 || step_ == spec_.steps();
      if (edge || since_event_.Seconds() >= kSecondsBetweenStepEvents) WriteStep();
      if (outcome_ == "completed") CheckpointIfDue();
    }
  }

  DeviceBatch NextBatch() {
    const Stopwatch wait;
    std::optional<DeviceBatch> batch = data_->Next();
    if (!batch) StopWithoutBatch();
    if (steps_since_loader_++ > 0) {
      wait_seconds_ += wait.Seconds();
    } else if (steps_since_event_ == 0) {
      since_event_.Restart();  // start-up is over
    }
    return *std::move(batch);
  }

  // False when the run went back, and the data with it.
  bool OneStep() {
    const DeviceBatch batch = NextBatch();
    const ScalarOnItsWay on_its_way(learner_->Gradients(batch));
    if (UpdatesFirst()) (void)Update();
    data_->Prefetch();
    const float loss = on_its_way.Value();
    const StepProblem problem = TakeStep(loss);
    if (problem != StepProblem::kNone && rewinds() && Rewind(problem)) return false;
    ++step_;
    ++steps_since_event_;
    text_tokens_ += learner_->text_tokens();
    losses_.push_back(loss);
    return true;
  }

  // The update of the weights, unless the step is unstable.
  StepProblem TakeStep(float loss) {
    const bool may_overflow = learner_->scales_loss() && learner_->loss_scale().scale >= 1;
    const double norm = WatchesGradients() ? learner_->GradientNorm() : 0;
    const bool overflow = may_overflow && std::isfinite(loss) && !std::isfinite(norm);
    const StepProblem problem = overflow ? StepProblem::kNone : watch_.Judge(loss, norm);
    if (problem != StepProblem::kNone) {
      React(problem, loss, norm);
    } else if (UpdatesFirst() || Update()) {
      watch_.NoteSound(norm);
    } else {
      watch_.NoteOverflow();
      context_.events.Write("loss_scale",
                            {{"step", step_ + 1}, {"loss_scale", learner_->loss_scale().scale}});
    }
    return problem;
  }

  bool Update() { return learner_->Update(step_, step_ - watch_.state().skipped_steps); }

  // A GPU is given the update before the host waits for the loss, so that it need not wait for the
  // host, where a bad loss can only end the run: weights that diverged are not kept. Other
  // reactions and fp16 have to know before the weights change.
  [[nodiscard]] bool UpdatesFirst() const { return !WatchesGradients(); }
  [[nodiscard]] bool WatchesGradients() const {
    return spec_.instability.reaction != "stop" || learner_->scales_loss();
  }

  void React(StepProblem problem, float loss, double norm) {
    const std::string& reaction = spec_.instability.reaction;
    context_.events.Write("unstable_step",
                          {{"step", step_ + 1},
                           {"samples_seen", SamplesSeen()},
                           {"problem", NameOf(problem)},
                           {"loss", loss},
                           {"gradient_norm", WatchesGradients() ? Json(norm) : Json()},
                           {"reaction", reaction}});
    if (reaction == "stop") {
      Diverge(fmt::format("the loss of step {} is not finite", step_ + 1));
    } else if (reaction == "skip" && !watch_.NoteSkipped()) {
      Diverge(fmt::format("step {} is unstable ({}), as {} before it were",
                          step_ + 1,
                          NameOf(problem),
                          spec_.instability.limit));
    }
  }

  void Diverge(const std::string& message) {
    outcome_ = "diverged";
    message_ = message;
  }

  [[nodiscard]] bool rewinds() const { return spec_.instability.reaction == "rewind"; }
  // The last step that a rewind goes back to.
  [[nodiscard]] int64_t RewindStep() const {
    return step_ / spec_.instability.rewind_steps * spec_.instability.rewind_steps;
  }

  // Back to the last such step, and on from there past the batches seen since. Nothing of a rewind
  // is stored: a run killed here resumes before it and finds the same reason for it again. Returns
  // false, and has not gone back, when that was done too often.
  bool Rewind(StepProblem problem) {
    const int64_t to = RewindStep();
    const int64_t samples = to * spec_.global_batch_size;
    const auto checkpoint =
        CheckpointAt(context_.directory, context_.request.run_id, samples, [](const auto&) {});
    if (!checkpoint) {
      throw Failure(FailureCode::kData,
                    fmt::format("no checkpoint after {} samples to go back to", samples));
    }
    if (!watch_.NoteRewound(checkpoint->manifest.stability, step_ + 1 - to)) {
      Diverge(fmt::format("step {} is unstable ({}) after {} rewinds",
                          step_ + 1,
                          NameOf(problem),
                          spec_.instability.limit));
      return false;
    }
    if (leads()) RemoveCheckpointsAfter(context_.directory, samples);
    LoadStep(*checkpoint);
    context_.events.Write("rewound",
                          {{"step", step_},
                           {"samples_seen", SamplesSeen()},
                           {"rewinds", watch_.state().rewinds},
                           {"skipped_batches", watch_.state().skipped_batches}});
    return true;
  }

  void WriteStep() {
    const double seconds = since_event_.Seconds();
    const double rate = static_cast<double>(steps_since_event_ * spec_.global_batch_size) / seconds;
    Json event{{"step", step_},
               {"samples_seen", SamplesSeen()},
               {"loss", losses_.back()},
               {"learning_rate", learner_->LearningRate(step_ - 1)},
               {"logit_scale", learner_->LogitScale()},
               {"samples_per_second", rate},
               {"data_wait", wait_seconds_ / seconds},
               {"mfu", nullptr}};
    if (peak_flops_) {
      const double mean_tokens =
          static_cast<double>(text_tokens_) / static_cast<double>(steps_since_event_ * batch_size_);
      event["mfu"] = ModelFlopsUtilisation(rate,
                                           ComputedTrainFlopsPerSample(spec_, mean_tokens),
                                           *peak_flops_,
                                           context_.request.processes);
    }
    context_.events.Write("step", std::move(event));
    NoteSlowData(seconds);
    since_event_.Restart();
    steps_since_event_ = 0;
    text_tokens_ = 0;
    wait_seconds_ = 0;
  }

  // Once an attempt: whether the model waits for its data, and what helps.
  void NoteSlowData(double seconds) {
    data_wait_ += wait_seconds_;
    data_watched_ += seconds;
    const double share = data_wait_ / data_watched_;
    if (slow_data_ || data_watched_ < kSecondsBetweenStepEvents || share <= kTolerableDataWait)
      return;
    slow_data_ = true;
    context_.events.Write(
        "slow_data",
        {{"step", step_}, {"data_wait", share}, {"data_threads", context_.request.data_threads}});
    if (!leads()) return;
    std::fprintf(
        stderr,
        "clip_train: the model waits for data %.0f %% of the time with %lld data thread(s): "
        "raise trainer.data_threads, or store smaller images\n",
        100 * share,
        static_cast<long long>(context_.request.data_threads));
  }

  struct Decision {
    bool stop, checkpoint;
  };

  // Rank 0 decides for all, so that all end after the same step.
  Decision Decide() {
    const bool stop = context_.signals.StopRequested();
    const bool asked = context_.signals.TakeCheckpointRequest();
    const bool due = since_checkpoint_.Seconds() >= context_.request.checkpoint_every_seconds;
    if (context_.peers == nullptr) return {stop, asked || due};
    at::Tensor votes = at::zeros({2}, at::kFloat);
    if (leads()) votes = at::tensor({stop ? 1.0F : 0.0F, asked || due ? 1.0F : 0.0F});
    context_.peers->AllReduce(votes);
    return {votes[0].item<float>() > 0, votes[1].item<float>() > 0};
  }

  void CheckpointIfDue() {
    const auto [stop, checkpoint] = Decide();
    const bool for_rewinds = rewinds() && step_ == RewindStep();
    if (stop || checkpoint || for_rewinds || needed_.contains(SamplesSeen())) Checkpoint();
    if (!stop || step_ == spec_.steps()) return;
    // Nobody leaves before rank 0 has saved: `srun` ends all processes when one has gone.
    if (context_.peers != nullptr) context_.peers->AllReduce(at::zeros({1}));
    throw Failure(FailureCode::kInterrupted,
                  fmt::format("stopped by a signal after {} samples", SamplesSeen()));
  }

  // Rank 0 writes; the others send it what they alone have, once each time.
  void Checkpoint() {
    since_checkpoint_.Restart();
    if (!leads() || !PublishState()) SaveState(*learner_, losses_, std::nullopt);
  }

  // False when the checkpoint was there before.
  bool PublishState() {
    CheckpointManifest manifest;
    manifest.run_id = context_.request.run_id;
    manifest.samples_seen = SamplesSeen();
    manifest.step = step_;
    manifest.threads = threads_;
    manifest.micro_batch = micro_batch_;
    manifest.train_seconds = TrainSeconds();
    manifest.stability = watch_.state();
    manifest.loss_scale = learner_->loss_scale();
    const auto parent = context_.directory.checkpoints(context_.request.attempt);
    bool saved = false;
    checkpoint_ = PublishCheckpoint(parent, manifest, [&](const auto& folder) {
      SaveState(*learner_, losses_, folder);
      saved = true;
    });
    if (!saved) return false;
    std::set<int64_t> kept = needed_;
    if (rewinds() && step_ < spec_.steps()) kept.insert(RewindStep() * spec_.global_batch_size);
    PruneCheckpoints(context_.directory, kept);
    context_.events.Write("checkpoint",
                          {{"samples_seen", SamplesSeen()}, {"path", RelativeCheckpoint()}});
    return true;
  }

  void PublishResult() {
    RunResult result;
    result.run_id = context_.request.run_id;
    result.attempt = context_.request.attempt;
    result.outcome = outcome_;
    result.samples_seen = SamplesSeen();
    result.train_seconds = TrainSeconds();
    if (outcome_ == "completed") {
      result.final_loss = FinalLoss();
      result.checkpoint = RelativeCheckpoint();
    } else {
      result.message = message_;
    }
    PublishFileOnce(context_.directory.result(), ResultFileText(result));
  }

  [[nodiscard]] int64_t rank() const {
    return context_.peers != nullptr ? context_.peers->rank() : 0;
  }
  [[nodiscard]] bool leads() const { return rank() == 0; }
  [[nodiscard]] int64_t SamplesSeen() const { return step_ * spec_.global_batch_size; }
  [[nodiscard]] double TrainSeconds() const { return seconds_before_ + run_watch_.Seconds(); }
  [[nodiscard]] std::string RelativeCheckpoint() const {
    return std::filesystem::relative(checkpoint_, context_.directory.root()).string();
  }
  [[nodiscard]] double FinalLoss() const {
    double sum = 0;
    size_t count = 0;
    for (const float loss : std::views::reverse(losses_)) {
      if (!std::isfinite(loss)) continue;  // of a step that was skipped
      sum += loss;
      if (++count == kStepsInFinalLoss) break;
    }
    return sum / static_cast<double>(count);
  }

  const AttemptContext& context_;
  const RunSpec& spec_;
  at::Device device_;
  int64_t batch_size_;  // pairs of a step that this process encodes
  std::set<int64_t> needed_;
  std::optional<double> peak_flops_;
  int64_t threads_ = 1;
  int64_t micro_batch_ = 0;
  std::optional<Learner> learner_;
  std::unique_ptr<TrainingData> data_;
  int64_t step_ = 0;
  std::vector<float> losses_;
  StabilityWatch watch_;
  std::string outcome_ = "completed";
  std::string message_;  // why it is not
  std::filesystem::path checkpoint_;
  double seconds_before_ = 0;
  Stopwatch run_watch_, since_checkpoint_, since_event_;
  double wait_seconds_ = 0;                  // for data, since the last event
  double data_wait_ = 0, data_watched_ = 0;  // seconds, up to the last event
  bool slow_data_ = false;
  int64_t steps_since_loader_ = 0;
  int64_t steps_since_event_ = 0;
  int64_t text_tokens_ = 0;  // of this process, since the last event
};

}  // namespace

void TrainToResult(const AttemptContext& context) {
  TrainingRun(context).Run();
}

}  // namespace sweep
