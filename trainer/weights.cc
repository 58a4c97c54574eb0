#include "trainer/weights.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <cstring>

#include "core/failure.h"
#include "trainer/safetensors.h"

namespace sweep {
namespace {

constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kHistoryFile = "history.safetensors";

at::ScalarType ScalarTypeOf(const SafeTensor& tensor) {
  if (tensor.dtype == "F32") return at::kFloat;
  if (tensor.dtype == "F64") return at::kDouble;
  if (tensor.dtype == "F16") return at::kHalf;
  if (tensor.dtype == "BF16") return at::kBFloat16;
  throw Failure(
      FailureCode::kData,
      fmt::format(
          "tensor '{}' has dtype {}, expected F32, F64, F16 or BF16", tensor.name, tensor.dtype));
}

std::string_view BytesOf(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

// Slices of a flat CPU buffer, one a parameter; they point into `flat`.
void AppendSlices(const ParameterStore& parameters,
                  const at::Tensor& flat,
                  const std::string& prefix,
                  std::vector<SafeTensor>& tensors) {
  for (size_t i = 0; i < parameters.list().size(); ++i) {
    const ParameterInfo& info = parameters.list()[i];
    tensors.push_back(
        {prefix + info.name, "F32", info.shape, BytesOf(parameters.SliceOf(flat, i))});
  }
}

void CopySlices(const SafetensorsFile& file,
                const std::string& origin,
                const std::string& prefix,
                const ParameterStore& parameters,
                const at::Tensor& flat) {
  for (size_t i = 0; i < parameters.list().size(); ++i) {
    const ParameterInfo& info = parameters.list()[i];
    const SafeTensor& tensor = file.Get(prefix + info.name);
    if (tensor.shape != info.shape) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}: tensor '{}' has shape {}, expected {}",
                                origin,
                                tensor.name,
                                Json(tensor.shape).dump(),
                                Json(info.shape).dump()));
    }
    parameters.SliceOf(flat, i).copy_(AsTensor(tensor));
  }
}

}  // namespace

at::Tensor AsTensor(const SafeTensor& tensor) {
  return at::from_blob(const_cast<char*>(tensor.bytes.data()), tensor.shape, ScalarTypeOf(tensor));
}

void SaveWeights(const ParameterStore& parameters, const std::filesystem::path& path) {
  const at::Tensor flat = parameters.flat().cpu();
  std::vector<SafeTensor> tensors;
  AppendSlices(parameters, flat, "", tensors);
  WriteSafetensors(path, tensors);
}

void LoadWeights(const std::filesystem::path& path, ParameterStore& parameters) {
  const SafetensorsFile file(path);
  CopySlices(file, path.string(), "", parameters, parameters.flat());
  for (const auto& [name, tensor] : file.tensors()) (void)parameters.Get(name);
  parameters.RefreshCompute();
}

void SaveState(Learner& learner,
               const std::vector<float>& losses,
               const std::filesystem::path& folder) {
  const ParameterStore& parameters = learner.parameters();
  SaveWeights(parameters, folder / kModelFile);
  const at::Tensor first = learner.optimizer().first_moment().cpu();
  const at::Tensor second = learner.optimizer().second_moment().cpu();
  std::vector<SafeTensor> tensors;
  AppendSlices(parameters, first, "exp_avg.", tensors);
  AppendSlices(parameters, second, "exp_avg_sq.", tensors);
  WriteSafetensors(folder / kOptimizerFile, tensors);
  const std::string_view bytes(reinterpret_cast<const char*>(losses.data()),
                               losses.size() * sizeof(float));
  WriteSafetensors(folder / kHistoryFile,
                   {{"loss", "F32", {static_cast<int64_t>(losses.size())}, bytes}});
}

std::vector<float> LoadState(const std::filesystem::path& folder, Learner& learner) {
  const ParameterStore& parameters = learner.parameters();
  LoadWeights(folder / kModelFile, learner.parameters());
  const SafetensorsFile moments(folder / kOptimizerFile);
  const std::string origin = (folder / kOptimizerFile).string();
  CopySlices(moments, origin, "exp_avg.", parameters, learner.optimizer().first_moment());
  CopySlices(moments, origin, "exp_avg_sq.", parameters, learner.optimizer().second_moment());
  const SafetensorsFile history(folder / kHistoryFile);
  const SafeTensor& loss = history.Get("loss");
  std::vector<float> losses(loss.bytes.size() / sizeof(float));
  std::memcpy(losses.data(), loss.bytes.data(), losses.size() * sizeof(float));
  return losses;
}

}  // namespace sweep
