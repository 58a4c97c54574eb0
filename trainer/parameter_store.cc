#include "trainer/parameter_store.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/failure.h"

namespace sweep {
namespace {

// Every parameter begins on a cache line.
constexpr int64_t kAlignment = 16;

int64_t Aligned(int64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

ParameterStore::ParameterStore(const std::vector<ParameterInfo>& list,
                               at::Device device,
                               at::ScalarType compute)
    : list_(list), offsets_(list.size()), compute_type_(compute) {
  int64_t size = 0;
  for (const bool decays : {true, false}) {
    for (size_t i = 0; i < list_.size(); ++i) {
      if (list_[i].decays() != decays) continue;
      offsets_[i] = size;
      size += Aligned(list_[i].size());
    }
  }
  const auto master_options = at::TensorOptions().device(device).dtype(at::kFloat);
  flat_ = at::zeros({size}, master_options);
  flat_gradient_ = at::zeros({size}, master_options);
  const bool low = compute != at::kFloat;
  if (low) low_flat_ = at::zeros({size}, master_options.dtype(compute));
  for (size_t i = 0; i < list_.size(); ++i) {
    const bool keeps_fp32 = list_[i].shape.empty() || (list_[i].norm() && device.is_cpu());
    const bool own_copy = low && !keeps_fp32;
    parameters_[list_[i].name] = Parameter{
        SliceOf(flat_, i), SliceOf(own_copy ? low_flat_ : flat_, i), SliceOf(flat_gradient_, i)};
  }
}

at::Tensor ParameterStore::SliceOf(const at::Tensor& flat_like, size_t index) const {
  const ParameterInfo& info = list_[index];
  return flat_like.narrow(0, offsets_[index], info.size()).view(info.shape);
}

std::vector<ParameterStore::Span> ParameterStore::Spans() const {
  std::vector<Span> spans;
  for (size_t i = 0; i < list_.size(); ++i)
    spans.push_back({i, offsets_[i], Aligned(list_[i].size())});
  std::ranges::sort(spans, {}, &Span::begin);
  return spans;
}

const Parameter& ParameterStore::Get(const std::string& name) const {
  const auto found = parameters_.find(name);
  if (found == parameters_.end())
    throw Failure(FailureCode::kInternal, fmt::format("model has no parameter '{}'", name));
  return found->second;
}

void ParameterStore::Initialize(int64_t seed) {
  for (const ParameterInfo& info : list_) {
    std::vector<float> values = InitialValues(info, seed);
    Get(info.name).master.copy_(at::from_blob(values.data(), info.shape, at::kFloat));
  }
  RefreshCompute();
}

void ParameterStore::RefreshCompute() {
  if (low_flat_.defined()) low_flat_.copy_(flat_);
}

void ParameterStore::ZeroGradients() {
  flat_gradient_.zero_();
}

}  // namespace sweep
