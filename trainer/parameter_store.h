#pragma once

#include <ATen/core/Tensor.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/compute.h"
#include "trainer/parameter_layout.h"
#include "trainer/peers.h"

namespace sweep {

/// What the processes of a run share out instead of each holding all of it.
enum class Sharding {
  kNone,
  kOptimizer,  ///< the optimizer's moments and, where weights are 16 bits, their fp32 masters
               ///< (ZeRO stage 1: Rajbhandari et al. 2020)
  kWeights,    ///< these, gradients and weights: those of a layer are gathered for each use and
               ///< freed after it (ZeRO stage 3; FSDP: Zhao et al. 2023)
};

/// How a model's parameters are held by the processes that train it.
struct Distribution {
  Peers* peers = nullptr;  ///< must outlive the store; null: this process alone
  Sharding sharding = Sharding::kNone;
  int64_t bucket_bytes = kBucketBytes;
};

/// One trained tensor in its three forms, all views into the store's buffers.
struct Parameter {
  at::Tensor master;    ///< fp32, what the optimizer updates; undefined where only a part is here
  at::Tensor compute;   ///< what forward and backward read: fp32, or a copy in bf16 or fp16
  at::Tensor gradient;  ///< fp32 always; backward adds into it
};

/// All parameters and gradients of a model, in few buffers (ParameterLayout): an optimizer step, a
/// norm or a cast is one call a bucket, which is what small models are bound by. Where passes
/// compute in bf16 or fp16, weights are copies of fp32 masters; LayerNorm (on a CPU) and the logit
/// scale stay in fp32.
///
/// With several processes it exchanges gradients bucket by bucket while the backward pass goes on,
/// and it gathers and frees weights that are sharded. Passes say what they use: Gather before and
/// Release after a layer's forward pass, GatherForBackward before and ReduceGradients after its
/// backward pass. All processes make these calls in the same order.
class ParameterStore {
 public:
  ParameterStore(const std::vector<ParameterInfo>& list,
                 at::Device device,
                 at::ScalarType compute,
                 const Distribution& distribution = {});

  /// Stays where it is; `compute` and `gradient` are there between Gather and Release.
  [[nodiscard]] const Parameter& Get(const std::string& name) const;
  [[nodiscard]] const std::vector<ParameterInfo>& list() const { return list_; }
  [[nodiscard]] at::ScalarType compute_type() const { return compute_type_; }
  [[nodiscard]] at::Device device() const { return device_; }

  /// Draws first values for a run's seed.
  void Initialize(int64_t seed);
  /// Sets a parameter, given whole. PublishMasters is to follow.
  void SetMaster(size_t index, const at::Tensor& values);
  /// Keeps the logit scale in [0, most]. PublishMasters is to follow.
  void ClampLogitScale(double most);
  /// Brings what passes read up to date; to be called after masters changed.
  void PublishMasters();

  /// The bucket of a tower's layer (ParameterPlace).
  [[nodiscard]] size_t BucketOf(Tower tower, int64_t layer) const {
    return layout_.BucketOf(tower, layer);
  }
  /// Starts what Gather of the same bucket then waits for.
  void Prefetch(size_t bucket);
  void Gather(size_t bucket);
  void Release(size_t bucket);

  /// Before the backward passes of a step, `passes` through every layer: gradients are zero.
  void BeginGradients(int64_t passes = 1);
  void GatherForBackward(size_t bucket);
  /// A layer's backward pass is over: after the last of a bucket its gradients are on their way.
  void ReduceGradients(size_t bucket);
  /// Waits until the gradients that this process updates with are the sums over all processes.
  void FinishGradients();

  /// All gradients that this process holds, in one buffer; in a single process those of the model.
  [[nodiscard]] const at::Tensor& flat_gradient() const { return flat_gradient_; }
  /// Norm over the whole model, a scalar of fp64; every process has to ask.
  [[nodiscard]] at::Tensor GradientNorm() const;

  /// What this process updates: of each bucket a part, which is all of it unless it is sharded.
  struct Part {
    at::Tensor master;    ///< fp32
    at::Tensor gradient;  ///< fp32
    int64_t begin = 0;    ///< in a buffer of all this process's parts
  };
  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
  /// Numbers in all this process's parts.
  [[nodiscard]] int64_t parts_size() const { return layout_.size() / part_count_; }

  /// A stretch of one parameter in this process's part of a bucket, padding included.
  struct Stretch {
    size_t index = 0;    ///< of the parameter in list()
    size_t bucket = 0;   ///< and the number of the part
    int64_t begin = 0;   ///< in the part
    int64_t size = 0;    ///< numbers
    int64_t offset = 0;  ///< in the parameter
  };
  /// In the order of the parts.
  [[nodiscard]] const std::vector<Stretch>& stretches() const { return stretches_; }

  /// Copies what is this process's of parameter `index`, given whole, into a buffer like `parts`.
  void CopyPart(size_t index, const at::Tensor& values, const at::Tensor& parts) const;
  /// Replaces a tensor by its sum over the processes that hold different parts.
  void SumOverParts(const at::Tensor& tensor) const;
  /// The whole bucket that `part` is this process's part of; every process has to ask.
  [[nodiscard]] at::Tensor WholeBucket(const at::Tensor& part) const;
  /// Whether WholeBucket has to ask other processes.
  [[nodiscard]] bool sharded() const { return part_count_ > 1; }
  [[nodiscard]] const ParameterLayout& layout() const { return layout_; }

 private:
  // One bucket's tensors. Parts are views of the whole where that is here and of their type.
  struct Bucket {
    bool resident = true;  // its weights and gradients are here all the time
    at::ScalarType type = at::kFloat;
    at::Tensor weights;   // what passes read
    at::Tensor gradient;  // fp32
    int64_t passes_left = 0;
    std::unique_ptr<Pending> gathering, reducing;
  };

  void AllocateBuckets();
  void AllocateBucket(size_t index, const at::Tensor& gradient);
  [[nodiscard]] int64_t HeldGradients(size_t bucket) const;
  void ListStretches();
  void ForStretches(size_t index,
                    const at::Tensor& values,
                    const std::function<void(const Stretch&, const at::Tensor&)>& use) const;
  void ShowWeights(size_t bucket);
  void ShowGradients(size_t bucket);
  void StartReduce(size_t bucket);
  void FinishReduce(size_t bucket);
  [[nodiscard]] at::Tensor View(const at::Tensor& bucket, size_t index) const;
  [[nodiscard]] at::Tensor PartOf(const at::Tensor& whole) const;
  [[nodiscard]] at::Tensor New(int64_t size, at::ScalarType type) const;

  std::vector<ParameterInfo> list_;
  at::Device device_;
  at::ScalarType compute_type_;
  Peers* peers_;
  Sharding sharding_;
  int64_t part_count_;
  int64_t part_;  // the number of this process's
  ParameterLayout layout_;
  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, size_t> index_of_;
  at::Tensor flat_gradient_;
  std::vector<Bucket> buckets_;
  std::vector<Part> parts_;
  std::vector<Stretch> stretches_;
  std::deque<size_t> in_flight_;  // buckets whose gradients are being summed
};

}  // namespace sweep
