#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "trainer/parameter_list.h"

namespace sweep {

/// One trained tensor in its three forms, all views into the store's flat buffers.
struct Parameter {
  at::Tensor master;    ///< fp32, what the optimizer updates and checkpoints hold
  at::Tensor compute;   ///< what forward and backward read: master itself, or its bf16 copy
  at::Tensor gradient;  ///< fp32 always; backward adds into it
};

/// All parameters and gradients of a model in one flat fp32 buffer each: an optimizer step, a norm
/// or a cast over the whole model is one call, which is what small models are bound by. Parameters
/// with weight decay come first. In bf16, a further flat buffer holds the copies that matrix
/// products use; LayerNorm (on a CPU) and the logit scale stay in fp32.
class ParameterStore {
 public:
  ParameterStore(const std::vector<ParameterInfo>& list, at::Device device, at::ScalarType compute);

  [[nodiscard]] const Parameter& Get(const std::string& name) const;
  [[nodiscard]] const std::vector<ParameterInfo>& list() const { return list_; }
  [[nodiscard]] at::ScalarType compute_type() const { return compute_type_; }
  [[nodiscard]] at::Device device() const { return flat_.device(); }

  /// Draws first values for a run's seed.
  void Initialize(int64_t seed);

  /// Brings the bf16 copies up to date; to be called after masters changed.
  void RefreshCompute();

  void ZeroGradients();

  [[nodiscard]] const at::Tensor& flat() const { return flat_; }
  [[nodiscard]] const at::Tensor& flat_gradient() const { return flat_gradient_; }
  /// Where a parameter lies in `flat`, padding included.
  struct Span {
    size_t index;  ///< in list()
    int64_t begin, size;
  };
  /// Of all parameters, in the order in which they lie.
  [[nodiscard]] std::vector<Span> Spans() const;

  /// The slice of a buffer shaped like `flat` that belongs to parameter `index` of list().
  [[nodiscard]] at::Tensor SliceOf(const at::Tensor& flat_like, size_t index) const;

 private:
  std::vector<ParameterInfo> list_;
  std::vector<int64_t> offsets_;
  std::unordered_map<std::string, Parameter> parameters_;
  at::ScalarType compute_type_;
  at::Tensor flat_;
  at::Tensor flat_gradient_;
  at::Tensor low_flat_;  // undefined in fp32
};

}  // namespace sweep
