// Against values that open_clip 3.3.0 computed (tests/data/trainer/make_goldens.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <catch2/catch.hpp>

#include "core/compute.h"
#include "tests/support/temporary_directory.h"
#include "tests/trainer/golden.h"
#include "trainer/contrastive_loss.h"
#include "trainer/weights.h"

namespace sweep {
namespace {

RunSpec SpecOf(const std::string& kind) {
  RunSpec spec = GoldenSpec(kind == "quick_gelu");
  if (kind == "layer_scale") spec.model.vision.ls_init_value = spec.model.text.ls_init_value = 0.3;
  return spec;
}

struct Golden {
  explicit Golden(const std::string& kind)
      : weights(GoldenFolder() / ("model_" + kind + ".safetensors")),
        file(GoldenFolder() / ("golden_" + kind + ".safetensors")),
        learner(SpecOf(kind), at::kCPU) {
    LoadWeights(weights, learner.parameters());
  }
  [[nodiscard]] DeviceBatch Batch(int64_t step) const {
    return {GoldenTensor(file, "images").select(0, step),
            GoldenTensor(file, "tokens").select(0, step)};
  }

  [[nodiscard]] const ParameterStore& parameters() const { return learner.parameters(); }

  std::filesystem::path weights;
  SafetensorsFile file;
  Learner learner;
  at::NoGradGuard no_autograd;
};

}  // namespace

TEST_CASE("Names and shapes are those of open_clip's state dict", "[golden]") {
  for (const std::string kind : {"gelu", "layer_scale"}) {
    const auto list = ListParameters(SpecOf(kind).model);
    const SafetensorsFile weights(GoldenFolder() / ("model_" + kind + ".safetensors"));
    CHECK(list.size() == weights.tensors().size());
    for (const ParameterInfo& info : list) CHECK(weights.Get(info.name).shape == info.shape);
  }
}

TEST_CASE("Features and loss equal open_clip's within 1e-5", "[golden]") {
  for (const std::string kind : {"gelu", "quick_gelu", "layer_scale"}) {
    Golden golden(kind);
    const DeviceBatch batch = golden.Batch(0);
    const ClipModel& model = golden.learner.model();
    const at::Tensor images = model.vision.Forward(batch.images_BCSS, {}, nullptr);
    const at::Tensor texts = model.text.Forward(batch.tokens_BT, nullptr);
    CHECK(MaxDifference(images, GoldenTensor(golden.file, "image_features")) < 1e-5);
    CHECK(MaxDifference(texts, GoldenTensor(golden.file, "text_features")) < 1e-5);
    const auto loss =
        ContrastiveLoss({images, texts}, {model.logit_scale.master, model.logit_scale.gradient});
    CHECK(MaxDifference(loss.loss, GoldenTensor(golden.file, "loss")) < 1e-5);
  }
}

TEST_CASE("Every gradient equals autograd's within 2e-5 of the largest", "[golden]") {
  for (const std::string kind : {"gelu", "quick_gelu", "layer_scale"}) {
    Golden golden(kind);
    golden.learner.Gradients(golden.Batch(0));
    for (const ParameterInfo& info : golden.learner.parameters().list()) {
      const at::Tensor expected = GoldenTensor(golden.file, "gradient." + info.name);
      const double scale = 1 + expected.abs().max().item<double>();
      INFO(kind << " " << info.name);
      CHECK(MaxDifference(golden.learner.parameters().Get(info.name).gradient, expected) <
            2e-5 * scale);
    }
  }
}

TEST_CASE("Twenty AdamW steps give open_clip's losses within 1e-4 and its weights within 1e-4",
          "[golden]") {
  for (const std::string kind : {"gelu", "quick_gelu", "layer_scale"}) {
    Golden golden(kind);
    const at::Tensor expected = GoldenTensor(golden.file, "losses");
    for (int64_t step = 0; step < expected.size(0); ++step) {
      const double loss = golden.learner.Step(golden.Batch(step), step).item<double>();
      CHECK(loss == Approx(expected[step].item<double>()).margin(1e-4));
    }
    for (const ParameterInfo& info : golden.learner.parameters().list()) {
      INFO(kind << " " << info.name);
      CHECK(MaxDifference(golden.learner.parameters().Get(info.name).master,
                          GoldenTensor(golden.file, "trained." + info.name)) < 1e-4);
    }
  }
}

TEST_CASE("Weights are written as they were read, for open_clip to load", "[golden]") {
  const TemporaryDirectory folder;
  const char* asked = std::getenv("SWEEP_SAVED_WEIGHTS");
  const auto path = asked != nullptr ? std::filesystem::path(asked) : folder.path() / "weights";
  const char* kind = std::getenv("SWEEP_SAVED_KIND");
  const Golden golden(kind != nullptr ? kind : "gelu");
  SaveWeights(golden.parameters(), path);
  const SafetensorsFile original(golden.weights);
  const SafetensorsFile written(path);
  CHECK(original.tensors().size() == written.tensors().size());
  for (const auto& [name, tensor] : original.tensors())
    CHECK(written.Get(name).bytes == tensor.bytes);
}

TEST_CASE("Padding that is cut off changes no text feature") {
  Golden golden("gelu");
  at::Tensor tokens = golden.Batch(0).tokens_BT;
  tokens.narrow(1, 6, 4).zero_();
  tokens.select(1, 5).fill_(23);  // end-of-text in the sixth place of every text
  const ClipModel& model = golden.learner.model();
  const at::Tensor whole = model.text.Forward(tokens, nullptr);
  const at::Tensor cut = model.text.Forward(tokens.narrow(1, 0, 6), nullptr);
  CHECK(MaxDifference(whole, cut) < 1e-6);
}

TEST_CASE("bf16's and fp16's features stay near fp32's and their gradients point the same way") {
  Golden golden("gelu");
  golden.learner.Gradients(golden.Batch(0));
  const at::Tensor& a = golden.learner.parameters().flat_gradient();
  for (const std::string precision : {"bf16", "fp16"}) {
    RunSpec spec = GoldenSpec(false);
    spec.precision = precision;
    Learner low(spec, at::kCPU);
    low.SetLossScale({.scale = 1024});
    LoadWeights(golden.weights, low.parameters());
    low.Gradients(golden.Batch(0));
    INFO(precision);
    const at::Tensor& b = low.parameters().flat_gradient();
    CHECK(a.dot(b).item<double>() / a.dot(a).item<double>() == Approx(1).margin(0.02));
    CHECK(a.dot(b).item<double>() / (a.norm().item<double>() * b.norm().item<double>()) > 0.999);
    const at::Tensor images = low.model().vision.Forward(golden.Batch(0).images_BCSS, {}, nullptr);
    CHECK(MaxDifference(images, GoldenTensor(golden.file, "image_features")) < 0.03);
  }
}

TEST_CASE("Parameter counts equal core's for every tower shape") {
  ModelSpec model = GoldenSpec(false).model;
  model.vision.mlp_ratio = 2.6667;
  model.text.layers = 3;
  model.vision.ls_init_value = 1e-5;
  int64_t total = 0;
  for (const ParameterInfo& info : ListParameters(model)) total += info.size();
  CHECK(total == CountParameters(model).total());
}

}  // namespace sweep
