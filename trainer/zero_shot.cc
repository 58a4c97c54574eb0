#include "trainer/zero_shot.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>

#include <algorithm>

namespace sweep {
namespace {

constexpr int64_t kBatch = 256;

std::span<const float> Values(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

}  // namespace

ZeroShot::ZeroShot(const ClipModel& model,
                   const Tokenizer& tokenizer,
                   int64_t context_length,
                   at::Device device)
    : model_(model), tokenizer_(tokenizer), context_length_(context_length), device_(device) {}

at::Tensor ZeroShot::ImageFeatures(const EvaluationImages& images) const {
  const at::Tensor all =
      at::from_blob(const_cast<uint8_t*>(images.pixels.data()),
                    {images.count, images.channels, images.image_size, images.image_size},
                    at::kByte);
  std::vector<at::Tensor> features;
  for (int64_t first = 0; first < images.count; first += kBatch) {
    const int64_t size = std::min(kBatch, images.count - first);
    features.push_back(model_.vision.Forward(all.narrow(0, first, size).to(device_), {}, nullptr));
  }
  return at::cat(features);
}

at::Tensor ZeroShot::TextFeatures(const std::vector<std::string>& texts) const {
  const auto context = static_cast<size_t>(context_length_);
  std::vector<int64_t> tokens(texts.size() * context);
  for (size_t i = 0; i < texts.size(); ++i)
    (void)tokenizer_.Encode(texts[i], std::span(tokens).subspan(i * context, context));
  const auto count = static_cast<int64_t>(texts.size());
  const at::Tensor all = at::from_blob(tokens.data(), {count, context_length_}, at::kLong);
  std::vector<at::Tensor> features;
  for (int64_t first = 0; first < count; first += kBatch) {
    const int64_t size = std::min(kBatch, count - first);
    features.push_back(model_.text.Forward(all.narrow(0, first, size), nullptr));
  }
  return at::cat(features);
}

Metrics ZeroShot::Classify(const ClassificationData& data) const {
  std::vector<at::Tensor> weights;
  for (const auto& prompts : data.prompts)
    weights.push_back(Normalize(TextFeatures(prompts).mean(0, true)).unit_RO.squeeze(0));
  const at::Tensor logits =
      at::mm(ImageFeatures(data.images), at::stack(weights).t()).cpu().contiguous();
  return ClassificationMetrics(
      Values(logits), data.labels, static_cast<int64_t>(data.prompts.size()));
}

Metrics ZeroShot::Retrieve(const RetrievalData& data) const {
  const at::Tensor similarity =
      at::mm(TextFeatures(data.captions), ImageFeatures(data.images).t()).cpu().contiguous();
  return RetrievalMetrics(Values(similarity), data.images.count, data.captions_per_image);
}

}  // namespace sweep
