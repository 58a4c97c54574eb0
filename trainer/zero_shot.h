#pragma once

#include "trainer/clip_model.h"
#include "trainer/evaluation_data.h"
#include "trainer/metrics.h"
#include "trainer/tokenizer.h"

namespace sweep {

/// Features of evaluation data under a fixed model, in batches, without keeping activations.
class ZeroShot {
 public:
  /// Both must outlive it. `context_length` in tokens.
  ZeroShot(const ClipModel& model,
           const Tokenizer& tokenizer,
           int64_t context_length,
           at::Device device);

  /// Zero-shot classification: for each class the mean of its prompts' unit features, made unit
  /// again, is its weight; the logit of an image is the product with it.
  [[nodiscard]] Metrics Classify(const ClassificationData& data) const;

  [[nodiscard]] Metrics Retrieve(const RetrievalData& data) const;

 private:
  [[nodiscard]] at::Tensor ImageFeatures(const EvaluationImages& images) const;
  [[nodiscard]] at::Tensor TextFeatures(const std::vector<std::string>& texts) const;

  const ClipModel& model_;
  const Tokenizer& tokenizer_;
  int64_t context_length_;
  at::Device device_;
};

}  // namespace sweep
