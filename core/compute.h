#pragma once

#include <cstdint>

#include "core/model_spec.h"
#include "core/run_spec.h"

namespace sweep {

/// Parameters by tower, and those of the loss: the logit scale and SigLIP's logit bias.
struct ParameterCount {
  int64_t vision = 0;
  int64_t text = 0;
  int64_t loss = 1;
  [[nodiscard]] int64_t total() const { return vision + text + loss; }
};

/// Exact number of trained parameters, equal to open_clip's for the same dimensions.
[[nodiscard]] ParameterCount CountParameters(const ModelSpec& model);

/// 10^9 multiply-accumulates of one forward pass of one image-text pair, by tower.
struct ForwardGmacs {
  double vision = 0;
  double text = 0;
  [[nodiscard]] double total() const { return vision + text; }
};

/// Linear layers, attention products, projections, and LayerNorm at 5 MACs an element; causal
/// attention is counted in full; token look-up, layer scales and other work element by element is
/// free. This convention gives the published GMAC
/// tables of the CLIP models to their two decimals (open_clip's architecture table;
/// scaling-laws-openclip's `gmacs`). Patches that `reduction` drops are not processed and do not
/// count.
[[nodiscard]] ForwardGmacs CountForwardGmacs(const ModelSpec& model,
                                             const TokenReductionSpec& reduction = {});

/// Floating-point operations of training for each forward GMAC: a MAC is two, and backward costs
/// twice forward.
inline constexpr double kTrainFlopsPerGmac = 6e9;

/// Floating-point operations of training per sample, as published tables count them: with the
/// text's padding.
[[nodiscard]] double TrainFlopsPerSample(const RunSpec& spec);

/// Those that are computed where texts have so many tokens on average: what a utilisation is
/// counted from. Neither padding is counted nor what the last block of a tower leaves out: after
/// its keys and values it goes on with the one token that is read. Causal attention is counted in
/// full, activations that are recomputed once.
[[nodiscard]] double ComputedTrainFlopsPerSample(const RunSpec& spec, double text_tokens);

/// Share of what `devices`, each of `peak_flops` a second, could do, at so many samples a second in
/// all of them together.
[[nodiscard]] double ModelFlopsUtilisation(double samples_per_second,
                                           double flops_per_sample,
                                           double peak_flops,
                                           int64_t devices);

/// Bytes that training holds at its peak, by what they are.
struct TrainMemory {
  double state = 0;        ///< weights, gradients, two moments; in bf16 also copies of the weights;
                           ///< where they are sharded, what is whole for a while
  double activations = 0;  ///< what forward keeps for backward, and the largest block's gradients
  double loss = 0;         ///< a tile of logits and its gradient
  [[nodiscard]] double total() const { return state + activations + loss; }
};

/// Side of the tiles in which the contrastive loss makes its logits.
inline constexpr int64_t kLossTilePairs = 2048;

/// Gradients are exchanged in pieces of at least so many bytes. PyTorch's size (Li et al. 2020,
/// section 3.2.3): large enough that a collective's latency is small beside its transfer, small
/// enough that most of the backward pass is left to hide it.
inline constexpr int64_t kBucketBytes = 25 << 20;

/// How a step is taken.
struct StepSize {
  int64_t batch_size = 0;          ///< pairs a step of one process
  int64_t micro_batch = 0;         ///< pairs encoded at a time; 0: all of them
  bool two_bytes = false;          ///< a number of weights' copies and activations: bf16 or fp16
  std::string recompute = "none";  ///< as in AttemptRequest
  std::string sharding = "none";   ///< likewise
  int64_t processes = 1;           ///< that share it out
};

/// Memory of one process of clip_train's training, the process itself not counted. The
/// formula is ours, from what trainer/transformer.h keeps: fp32 state of 16 bytes a parameter (bf16
/// 2 more), of which the processes share out what trainer/parameter_store.h says; a block keeps 16
/// x width numbers a token (with an MLP of 4 x width) and, on a CPU, the attention probabilities in
/// fp32; the last block keeps all rows of its input, its norm, keys and values alone.
/// docs/cluster.md tells how far it is from measured peaks.
[[nodiscard]] TrainMemory EstimateTrainMemory(const ModelSpec& model,
                                              const StepSize& step,
                                              const TokenReductionSpec& reduction = {});

/// Bytes of one checkpoint: weights and two moments in fp32.
[[nodiscard]] double CheckpointBytes(const ModelSpec& model);

}  // namespace sweep
