#pragma once

#include <ATen/ops/cat.h>

#include <map>
#include <string>
#include <vector>

#include "trainer/parameter_store.h"

namespace sweep {

/// Gradients by their parameters' names, on the CPU. Where they lie in the store's buffer depends
/// on the device and on how they are shared out, so buffers of two stores cannot be compared.
inline std::map<std::string, at::Tensor> GradientsByName(const ParameterStore& parameters) {
  std::map<std::string, at::Tensor> gradients;
  for (const ParameterInfo& info : parameters.list())
    gradients[info.name] = parameters.Get(info.name).gradient.to(at::kCPU);
  return gradients;
}

/// All of them in one row, in the order of the names.
inline at::Tensor JoinByName(const std::map<std::string, at::Tensor>& gradients) {
  std::vector<at::Tensor> rows;
  for (const auto& [name, gradient] : gradients) rows.push_back(gradient.flatten());
  return at::cat(rows);
}

}  // namespace sweep
