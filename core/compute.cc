#include "core/compute.h"

#include <algorithm>
#include <cmath>

namespace sweep {
namespace {

constexpr double kMacsPerGmac = 1e9;
constexpr double kLayerNormMacsPerElement = 5;

// Weights and biases of one block: packed QKV and output projections, two MLP layers, two
// LayerNorms, and two layer scales where there are any.
int64_t BlockParameters(int64_t width, int64_t mlp_width, bool layer_scale) {
  const int64_t attention = 4 * width * width + 4 * width;
  const int64_t mlp = 2 * width * mlp_width + mlp_width + width;
  const int64_t norms = 4 * width;
  return attention + mlp + norms + (layer_scale ? 2 * width : 0);
}

double BlockStackMacs(double layers, double tokens, double width, double mlp_width) {
  const double linear = layers * tokens * (4 * width * width + 2 * width * mlp_width);
  const double attention = 2 * layers * tokens * tokens * width;
  return linear + attention;
}

// Blocks and what follows them, where the last block goes on with one token after its first norm,
// its keys and its values (trainer/transformer.h).
double ComputedTowerMacs(
    double layers, double tokens, double width, double mlp_width, double embed_dim) {
  const double whole = layers - 1;
  const double whole_norms = kLayerNormMacsPerElement * 2 * whole * tokens * width;
  const double keys_and_values = 2 * tokens * width * width;
  const double of_one_token = 2 * width * width + 2 * width * mlp_width + 2 * tokens * width;
  const double last_norms =
      kLayerNormMacsPerElement * (tokens + 2) * width;  // ln_1; ln_2, the end's
  return BlockStackMacs(whole, tokens, width, mlp_width) + whole_norms + keys_and_values +
         of_one_token + last_norms + width * embed_dim;
}

constexpr double kFloatBytes = 4;

// One tower as its activations see it.
struct TowerShape {
  double layers, tokens, width, mlp_width, heads;
  bool layer_scale;
};

// Of one sample: what all blocks keep, and what the block that goes backward needs besides.
struct ActivationBytes {
  double kept, working;
};

// Kept by every block but the last: its input, two norms, query, key, value, attended, middle (8
// widths), hidden and activated (2 MLP widths), the probabilities, and what layer scales multiply
// (2 widths); by the last: input, norm, key and value. A block going backward has the gradients of
// its packed projection, of its hidden layer and of three widths. Recomputing what is cheap drops
// the norms and the activated layer until then; recomputing blocks, all but their inputs.
ActivationBytes CountActivations(const TowerShape& t, double bytes, const std::string& recompute) {
  const double input = t.tokens * t.width * bytes;
  const double scaled = t.layer_scale ? 2 : 0;
  const double block = t.tokens * ((8 + scaled) * t.width + 2 * t.mlp_width) * bytes +
                       t.heads * t.tokens * t.tokens * kFloatBytes;
  const double norms_and_activated = t.tokens * (2 * t.width + t.mlp_width) * bytes;
  const double gradients = t.tokens * (6 * t.width + t.mlp_width) * bytes;
  const double others = t.layers - 1;
  if (recompute == "blocks")
    return {t.layers * input, gradients + (others > 0 ? block : 3 * input)};
  if (recompute == "cheap") {
    return {others * (block - norms_and_activated) + 3 * input,
            gradients + (others > 0 ? norms_and_activated : input)};
  }
  return {others * block + 4 * input, gradients};
}

int64_t LargestBlock(const ModelSpec& model) {
  const VisionSpec& v = model.vision;
  const TextSpec& t = model.text;
  return std::max(BlockParameters(v.width, v.mlp_width(), false),
                  BlockParameters(t.width, t.mlp_width(), false));
}

int64_t TextEmbeddings(const ModelSpec& model) {
  return (model.text.vocab_size + model.text.context_length) * model.text.width;
}

// Weights, gradients, moments, and fp32 masters where weights are copies. Beyond what a process
// keeps, with sharded moments: copies of two buckets of gradients that are on their way. With
// sharded weights, within a tower: this block's weights, the next's and a copy of them on their
// way; this block's gradients, the last one's and the other processes' of both. Embeddings come at
// the end of their tower's backward pass: their weights, their gradients and the others' of them.
double StateBytes(const ModelSpec& model, const StepSize& step) {
  constexpr double kMoments = 2 * kFloatBytes;
  const double weights = step.two_bytes ? 2 : kFloatBytes;
  const double masters = step.two_bytes ? kFloatBytes : 0;
  const auto parameters = static_cast<double>(CountParameters(model).total());
  const auto block = static_cast<double>(LargestBlock(model));
  const auto embeddings = static_cast<double>(TextEmbeddings(model));
  const auto processes = static_cast<double>(step.processes);
  if (step.processes > 1 && step.sharding == "optimizer") {
    const double layer = kFloatBytes * std::max(block, embeddings);
    const double bucket = std::max(static_cast<double>(kBucketBytes), layer);
    return parameters * (weights + kFloatBytes + (masters + kMoments) / processes) +
           2 * std::min(bucket, parameters * kFloatBytes);
  }
  if (step.processes > 1 && step.sharding == "weights") {
    return parameters * (2 * kFloatBytes + kMoments) / processes +
           std::max(block * (3 * weights + 4 * kFloatBytes),
                    embeddings * (weights + 2 * kFloatBytes));
  }
  return parameters * (weights + kFloatBytes + masters + kMoments);
}

}  // namespace

ParameterCount CountParameters(const ModelSpec& model) {
  const VisionSpec& v = model.vision;
  const TextSpec& t = model.text;
  const int64_t patch_embedding = 3 * v.patch_size * v.patch_size * v.width;
  const int64_t class_and_positions = v.width + v.tokens() * v.width;
  const int64_t pre_and_post_norm = 4 * v.width;
  ParameterCount count;
  count.vision = patch_embedding + class_and_positions + pre_and_post_norm +
                 v.layers * BlockParameters(v.width, v.mlp_width(), v.ls_init_value > 0) +
                 v.width * model.embed_dim;
  count.text = t.vocab_size * t.width + t.context_length * t.width +
               t.layers * BlockParameters(t.width, t.mlp_width(), t.ls_init_value > 0) +
               2 * t.width + t.width * model.embed_dim;
  if (model.sigmoid()) count.loss = 2;
  return count;
}

ForwardGmacs CountForwardGmacs(const ModelSpec& model, const TokenReductionSpec& reduction) {
  const VisionSpec& v = model.vision;
  const TextSpec& t = model.text;
  const int64_t patches = KeptPatchCount(v, reduction);
  const auto vision_tokens = static_cast<double>(patches + 1);
  const auto vision_width = static_cast<double>(v.width);
  const auto vision_layers = static_cast<double>(v.layers);
  const auto text_tokens = static_cast<double>(t.context_length);
  const auto text_width = static_cast<double>(t.width);
  const auto text_layers = static_cast<double>(t.layers);
  const auto embed_dim = static_cast<double>(model.embed_dim);

  // Two norms a block and the one before (vision) or after (text) the stack see every token;
  // ln_post sees one.
  const double vision_norms =
      kLayerNormMacsPerElement *
      (vision_tokens * vision_width * (2 * vision_layers + 1) + vision_width);
  const double text_norms =
      kLayerNormMacsPerElement * text_tokens * text_width * (2 * text_layers + 1);
  const double patch_embedding =
      static_cast<double>(patches * 3 * v.patch_size * v.patch_size) * vision_width;

  ForwardGmacs gmacs;
  gmacs.vision =
      (BlockStackMacs(
           vision_layers, vision_tokens, vision_width, static_cast<double>(v.mlp_width())) +
       patch_embedding + vision_width * embed_dim + vision_norms) /
      kMacsPerGmac;
  gmacs.text =
      (BlockStackMacs(text_layers, text_tokens, text_width, static_cast<double>(t.mlp_width())) +
       text_width * embed_dim + text_norms) /
      kMacsPerGmac;
  return gmacs;
}

double TrainFlopsPerSample(const RunSpec& spec) {
  return kTrainFlopsPerGmac * CountForwardGmacs(spec.model, spec.reduction).total();
}

double ComputedTrainFlopsPerSample(const RunSpec& spec, double text_tokens) {
  const VisionSpec& v = spec.model.vision;
  const TextSpec& t = spec.model.text;
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  const double patches = number(KeptPatchCount(v, spec.reduction));
  const double embedding = patches * number(3 * v.patch_size * v.patch_size * v.width);
  const double ln_pre = kLayerNormMacsPerElement * (patches + 1) * number(v.width);
  const double macs = embedding + ln_pre +
                      ComputedTowerMacs(number(v.layers),
                                        patches + 1,
                                        number(v.width),
                                        number(v.mlp_width()),
                                        number(spec.model.embed_dim)) +
                      ComputedTowerMacs(number(t.layers),
                                        text_tokens,
                                        number(t.width),
                                        number(t.mlp_width()),
                                        number(spec.model.embed_dim));
  return kTrainFlopsPerGmac * macs / kMacsPerGmac;
}

double ModelFlopsUtilisation(double samples_per_second,
                             double flops_per_sample,
                             double peak_flops,
                             int64_t devices) {
  return samples_per_second * flops_per_sample / (peak_flops * static_cast<double>(devices));
}

TrainMemory EstimateTrainMemory(const ModelSpec& model,
                                const StepSize& step,
                                const TokenReductionSpec& reduction) {
  const VisionSpec& v = model.vision;
  const TextSpec& t = model.text;
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  const double bytes = step.two_bytes ? 2 : kFloatBytes;
  const TowerShape vision{number(v.layers),
                          number(KeptPatchCount(v, reduction) + 1),
                          number(v.width),
                          number(v.mlp_width()),
                          number(v.heads()),
                          v.ls_init_value > 0};
  const TowerShape text{number(t.layers),
                        number(t.context_length),
                        number(t.width),
                        number(t.mlp_width()),
                        number(t.heads),
                        t.ls_init_value > 0};
  const double image =
      number(KeptPatchCount(v, reduction) * 3 * v.patch_size * v.patch_size) * bytes;
  const ActivationBytes of_vision = CountActivations(vision, bytes, step.recompute);
  const ActivationBytes of_text = CountActivations(text, bytes, step.recompute);
  const double sample =
      of_vision.kept + of_text.kept + image + std::max(of_vision.working, of_text.working);
  const int64_t batch = step.batch_size;
  const int64_t piece = step.micro_batch > 0 ? std::min(step.micro_batch, batch) : batch;

  TrainMemory memory;
  memory.state = StateBytes(model, step);
  memory.activations = number(piece) * sample;
  const double tile = number(std::min(batch, kLossTilePairs));
  memory.loss = 2 * tile * tile * kFloatBytes;
  return memory;
}

double CheckpointBytes(const ModelSpec& model) {
  return 3 * kFloatBytes * static_cast<double>(CountParameters(model).total());
}

}  // namespace sweep
