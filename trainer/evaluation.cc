#include "trainer/evaluation.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "core/failure.h"
#include "core/files.h"
#include "core/json_fields.h"
#include "trainer/checkpoint_folder.h"
#include "trainer/device.h"
#include "trainer/weights.h"
#include "trainer/zero_shot.h"

namespace sweep {
namespace {

// Evaluations are made in fp32, whatever the precision of training.
class Evaluator {
 public:
  explicit Evaluator(const AttemptContext& context)
      : context_(context),
        device_(ChooseDevice(context.request.device)),
        parameters_(ListParameters(context.spec.model), device_, at::kFloat),
        model_(parameters_, context.spec.model),
        tokenizer_(context.data.OpenTokenizer(context.spec.tokenizer, context.spec.model.text)),
        zero_shot_(model_, *tokenizer_, context.spec.model.text.context_length, device_) {
    SetThreads(context.request.threads);
    SetPrecision(device_, "fp32");  // this process may have trained in TF32
  }

  void Evaluate(const EvaluationRequest& request, const StoredCheckpoint& checkpoint) {
    const auto start = std::chrono::steady_clock::now();
    LoadOnce(checkpoint);
    EvaluationResult result;
    result.metrics = Measure(request.spec);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    result.eval_id = request.eval_id;
    result.run_id = context_.request.run_id;
    result.samples_seen = request.samples_seen;
    result.eval_dataset = request.eval_dataset;
    result.spec = request.spec;
    result.seconds = elapsed.count();
    PublishFileOnce(context_.directory.evaluation(request.eval_id), EvaluationFileText(result));
    context_.events.Write("evaluation",
                          {{"eval_id", request.eval_id},
                           {"eval_dataset", request.eval_dataset},
                           {"seconds", result.seconds}});
  }

 private:
  void LoadOnce(const StoredCheckpoint& checkpoint) {
    if (loaded_ == checkpoint.folder) return;
    LoadWeights(checkpoint.folder / kModelFile, parameters_);
    loaded_ = checkpoint.folder;
  }

  Metrics Measure(const EvaluationSpec& spec) {
    const int64_t image_size = context_.spec.model.vision.image_size;
    if (spec.task == "zeroshot_classification")
      return zero_shot_.Classify(OpenClassification(spec, image_size, context_.data));
    return zero_shot_.Retrieve(OpenRetrieval(spec, image_size, context_.data));
  }

  const AttemptContext& context_;
  at::Device device_;
  ParameterStore parameters_;
  ClipModel model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  ZeroShot zero_shot_;
  std::filesystem::path loaded_;
};

std::vector<EvaluationRequest> MissingEvaluations(const AttemptContext& context) {
  std::vector<EvaluationRequest> missing;
  for (const EvaluationRequest& request : context.request.evaluations) {
    if (!std::filesystem::exists(context.directory.evaluation(request.eval_id)))
      missing.push_back(request);
  }
  return missing;
}

bool Diverged(const RunDirectory& directory) {
  const std::optional<RunResult> result = ReadResult(directory);
  return result && result->outcome == "diverged";
}

}  // namespace

void EvaluateMissing(const AttemptContext& context) {
  const std::vector<EvaluationRequest> missing = MissingEvaluations(context);
  if (missing.empty()) return;
  MakeDirectories(context.directory.evaluations());
  Evaluator evaluator(context);
  for (const EvaluationRequest& request : missing) {
    const auto checkpoint = CheckpointAt(
        context.directory,
        context.request.run_id,
        request.samples_seen,
        [](const std::string& text) {
          std::fprintf(stderr, "clip_train: passing over a checkpoint: %s\n", text.c_str());
        });
    if (checkpoint) {
      evaluator.Evaluate(request, *checkpoint);
    } else if (!Diverged(context.directory)) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}: no valid checkpoint after {} samples to evaluate",
                                context.directory.root().string(),
                                request.samples_seen));
    }
    if (context.signals.StopRequested())
      throw Failure(FailureCode::kInterrupted, "stopped by a signal between evaluations");
  }
}

}  // namespace sweep
