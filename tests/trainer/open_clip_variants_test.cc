// Against values that open_clip and timm computed (tests/data/trainer/make_goldens.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/temporary_directory.h"
#include "tests/trainer/golden.h"
#include "trainer/contrastive_loss.h"
#include "trainer/starting_weights.h"
#include "trainer/weights.h"

namespace sweep {
namespace {

std::filesystem::path ModelFile() {
  return GoldenFolder() / "model_gelu.safetensors";
}

struct Variants {
  SafetensorsFile file{GoldenFolder() / "golden_variants.safetensors"};
  SafetensorsFile batches{GoldenFolder() / "golden_gelu.safetensors"};
  at::NoGradGuard no_autograd;

  [[nodiscard]] at::Tensor Get(const std::string& name) const { return GoldenTensor(file, name); }
  [[nodiscard]] DeviceBatch Batch(int64_t step) const {
    return {GoldenTensor(batches, "images").select(0, step),
            GoldenTensor(batches, "tokens").select(0, step)};
  }
};

// Twenty steps with `spec` give the losses and weights stored under `name`.
void CheckTraining(const RunSpec& spec, const std::string& name) {
  const Variants golden;
  Learner learner(spec, at::kCPU);
  LoadWeights(ModelFile(), learner.parameters());
  const at::Tensor expected = golden.Get(name + ".losses");
  for (int64_t step = 0; step < expected.size(0); ++step) {
    INFO(name << " step " << step);
    CHECK(learner.Step(golden.Batch(step), step).item<double>() ==
          Approx(expected[step].item<double>()).margin(1e-4));
  }
  for (const ParameterInfo& info : learner.parameters().list()) {
    INFO(name << " " << info.name);
    CHECK(MaxDifference(learner.parameters().Get(info.name).master,
                        golden.Get(name + ".trained." + info.name)) < 1e-4);
  }
}

}  // namespace

TEST_CASE("Dropped patches: features, loss and gradients are open_clip's", "[golden]") {
  const Variants golden;
  Learner learner(GoldenSpec(false), at::kCPU);
  LoadWeights(ModelFile(), learner.parameters());
  DeviceBatch batch = golden.Batch(0);
  batch.kept_BK = golden.Get("kept");
  const at::Tensor features =
      learner.model().vision.Forward(batch.images_BCSS, batch.kept_BK, nullptr);
  CHECK(MaxDifference(features, golden.Get("kept.image_features")) < 1e-5);
  CHECK(MaxDifference(learner.Gradients(batch), golden.Get("kept.loss")) < 1e-5);
  for (const ParameterInfo& info : learner.parameters().list()) {
    const at::Tensor expected = golden.Get("kept.gradient." + info.name);
    const double scale = 1 + expected.abs().max().item<double>();
    INFO(info.name);
    CHECK(MaxDifference(learner.parameters().Get(info.name).gradient, expected) < 2e-5 * scale);
  }
}

TEST_CASE("Dropped patches and micro-batches go together: the same patches both times") {
  const Variants golden;
  DeviceBatch batch = golden.Batch(0);
  batch.kept_BK = golden.Get("kept");
  Learner whole(GoldenSpec(false), at::kCPU);
  Learner pieces(GoldenSpec(false), at::kCPU, {3, Recompute::kBlocks});
  for (Learner* learner : {&whole, &pieces}) {
    LoadWeights(ModelFile(), learner->parameters());
    learner->Gradients(batch);
  }
  const at::Tensor& expected = whole.parameters().flat_gradient();
  CHECK(MaxDifference(pieces.parameters().flat_gradient(), expected) <
        1e-5 * expected.abs().max().item<double>());
}

TEST_CASE("Images of another size are resized as torch's antialiased bilinear", "[golden]") {
  const Variants golden;
  Learner learner(GoldenSpec(false), at::kCPU);
  LoadWeights(ModelFile(), learner.parameters());
  const at::Tensor features =
      learner.model().vision.Forward(golden.Get("large.images"), {}, nullptr);
  CHECK(MaxDifference(features, golden.Get("large.image_features")) < 1e-5);
}

TEST_CASE("Positions and patches of another size are resized as open_clip does", "[golden]") {
  const Variants golden;
  RunSpec spec = GoldenSpec(false);
  spec.model.vision.image_size = 32;
  spec.model.text.context_length = 14;
  ParameterStore larger(ListParameters(spec.model), at::kCPU, at::kFloat);
  LoadStartingWeights(ModelFile(), std::nullopt, larger);
  for (const std::string name : {"visual.positional_embedding", "positional_embedding"})
    CHECK(MaxDifference(larger.Get(name).master, golden.Get("resized." + name)) < 1e-6);

  spec.model.vision = {16, 4, 32, 2, 16, 4.0};
  ParameterStore finer(ListParameters(spec.model), at::kCPU, at::kFloat);
  LoadStartingWeights(ModelFile(), std::nullopt, finer);
  CHECK(MaxDifference(finer.Get("visual.conv1.weight").master,
                      golden.Get("resized.visual.conv1.weight")) < 1e-6);
}

TEST_CASE("Names of data parallelism and of separate text towers are understood") {
  const at::NoGradGuard no_autograd;
  const SafetensorsFile original(ModelFile());
  std::vector<SafeTensor> renamed;
  for (const auto& [name, tensor] : original.tensors()) {
    const bool text = !name.starts_with("visual.") && name != "logit_scale";
    renamed.push_back(tensor);
    renamed.back().name = (text ? "module.text." : "module.") + name;
  }
  const TemporaryDirectory folder;
  const auto path = folder.path() / "renamed.safetensors";
  WriteSafetensors(path, renamed);
  ParameterStore store(ListParameters(GoldenSpec(false).model), at::kCPU, at::kFloat);
  LoadStartingWeights(path, std::nullopt, store);
  for (const ParameterInfo& info : store.list())
    CHECK(MaxDifference(store.Get(info.name).master, GoldenTensor(original, info.name)) == 0);

  renamed.push_back({"visual.unknown", "F32", {}, renamed.front().bytes.substr(0, 4)});
  WriteSafetensors(path, renamed);
  CHECK_THROWS_WITH(LoadStartingWeights(path, std::nullopt, store),
                    Catch::Contains("'visual.unknown' is not one of the model's"));
}

TEST_CASE("A tower alone starts from a file, the rest from scratch") {
  const at::NoGradGuard no_autograd;
  const SafetensorsFile file(ModelFile());
  RunSpec spec = GoldenSpec(false);
  spec.model.embed_dim = 16;  // the file's is 12: its projection does not fit and stays out
  ParameterStore store(ListParameters(spec.model), at::kCPU, at::kFloat);
  ParameterStore scratch(ListParameters(spec.model), at::kCPU, at::kFloat);
  for (ParameterStore* s : {&store, &scratch}) s->Initialize(3);
  LoadStartingWeights(ModelFile(), Tower::kVision, store);
  for (const ParameterInfo& info : store.list()) {
    const bool from_file = info.place.tower == Tower::kVision && info.name != "visual.proj";
    INFO(info.name);
    const at::Tensor expected =
        from_file ? GoldenTensor(file, info.name) : scratch.Get(info.name).master;
    CHECK(MaxDifference(store.Get(info.name).master, expected) == 0);
  }
  spec.model.vision.width = 48;
  ParameterStore wider(ListParameters(spec.model), at::kCPU, at::kFloat);
  CHECK_THROWS_WITH(LoadStartingWeights(ModelFile(), Tower::kVision, wider),
                    Catch::Contains("visual.class_embedding") && Catch::Contains("expected shape"));
}

TEST_CASE("Both losses and their gradients are open_clip's to 1e-10, whole and in tiles",
          "[golden]") {
  const Variants golden;
  for (const std::string kind : {"softmax", "sigmoid"}) {
    const auto get = [&](const char* name) { return golden.Get(kind + "." + name); };
    const auto gradient = [&](const char* name) { return golden.Get(kind + ".gradient." + name); };
    const FeaturePair features{get("images"), get("texts")};
    for (const int64_t tile : {1, 5, 12, 64}) {
      LossScalars scalars{get("scale"), at::zeros({}, at::kDouble)};
      if (kind == "sigmoid") {
        scalars.logit_bias = get("bias");
        scalars.logit_bias_gradient = at::zeros({}, at::kDouble);
      }
      const LossAndGradients loss = ContrastiveLoss(features, scalars, {.tile = tile});
      INFO(kind << " in tiles of " << tile);
      CHECK(MaxDifference(loss.loss, get("loss")) < 1e-10);
      CHECK(MaxDifference(loss.gradient.images_BE, gradient("images")) < 1e-10);
      CHECK(MaxDifference(loss.gradient.texts_BE, gradient("texts")) < 1e-10);
      CHECK(MaxDifference(scalars.logit_scale_gradient, gradient("scale")) < 1e-10);
      if (kind == "sigmoid")
        CHECK(MaxDifference(scalars.logit_bias_gradient, gradient("bias")) < 1e-10);
    }
  }
}

TEST_CASE("A hundred steps on given gradients end at PyTorch's AdamW's and timm's LAMB's weights",
          "[golden]") {
  const Variants golden;
  for (const std::string name : {"adamw", "lamb"}) {
    RunSpec spec = GoldenSpec(false);
    spec.optimizer.name = name;
    spec.optimizer.grad_clip_norm = 0;
    if (name == "lamb") spec.optimizer.weight_decay = 0.05;
    Learner learner(spec, at::kCPU);
    LoadWeights(ModelFile(), learner.parameters());
    for (int64_t step = 0; step < 100; ++step) {
      const auto at_step = static_cast<double>(step);
      for (const ParameterInfo& info : learner.parameters().list()) {
        learner.parameters().Get(info.name).gradient.copy_(
            golden.Get("g0." + info.name) * std::cos(at_step) +
            golden.Get("g1." + info.name) * std::sin(1.3 * at_step));
      }
      learner.optimizer().Step(spec.optimizer.learning_rate, step + 1);
    }
    for (const ParameterInfo& info : learner.parameters().list()) {
      INFO(name << " " << info.name);
      CHECK(MaxDifference(learner.parameters().Get(info.name).master,
                          golden.Get("hundred." + name + "." + info.name)) < 1e-6);
    }
  }
}

TEST_CASE("Layer decay and tower rates train as PyTorch's AdamW with EVA-CLIP's groups",
          "[golden]") {
  RunSpec spec = GoldenSpec(false);
  spec.optimizer.vision = {0.8, 0.7};
  spec.optimizer.text = {0.5, 0.6};
  spec.optimizer.decay_embeddings = false;
  CheckTraining(spec, "layer_decay");
}

TEST_CASE("LAMB trains as timm's", "[golden]") {
  RunSpec spec = GoldenSpec(false);
  spec.optimizer.name = "lamb";
  spec.optimizer.weight_decay = 0.05;
  CheckTraining(spec, "lamb");
}

TEST_CASE("A tower with rate 0 stays as it is") {
  const Variants golden;
  RunSpec spec = GoldenSpec(false);
  spec.optimizer.vision.scale = 0;
  for (const std::string name : {"adamw", "lamb"}) {
    spec.optimizer.name = name;
    Learner learner(spec, at::kCPU);
    LoadWeights(ModelFile(), learner.parameters());
    const SafetensorsFile before(ModelFile());
    for (int64_t step = 0; step < 3; ++step) (void)learner.Step(golden.Batch(step), step);
    for (const ParameterInfo& info : learner.parameters().list()) {
      const double change = MaxDifference(learner.parameters().Get(info.name).master,
                                          GoldenTensor(before, info.name));
      INFO(name << " " << info.name);
      CHECK((change == 0) == (info.place.tower == Tower::kVision));
    }
  }
}

}  // namespace sweep
