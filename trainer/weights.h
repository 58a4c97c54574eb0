#pragma once

#include <filesystem>
#include <optional>

#include "trainer/learner.h"
#include "trainer/safetensors.h"

namespace sweep {

/// Writes the master weights, fp32, under open_clip's names. Where they are sharded, every process
/// has to call it: those without a `path` send what they have.
void SaveWeights(const ParameterStore& parameters,
                 const std::optional<std::filesystem::path>& path);

/// Reads weights of any floating dtype by name. Throws Failure(kData) naming the file and the
/// tensor that is missing, has another shape or is not finite. Tensors the model does not have are
/// an error too.
void LoadWeights(const std::filesystem::path& path, ParameterStore& parameters);

/// Everything a resume needs beside the manifest: model.safetensors, optimizer.safetensors
/// (`exp_avg.NAME`, `exp_avg_sq.NAME`) and history.safetensors (`loss`, one fp32 value a step).
///
/// The files do not depend on how the state is sharded. Where it is, every process has to call
/// SaveState: those without a `folder` send what they have, a bucket at a time.
void SaveState(Learner& learner,
               const std::vector<float>& losses,
               const std::optional<std::filesystem::path>& folder);
/// Each process takes what it holds.
[[nodiscard]] std::vector<float> LoadState(const std::filesystem::path& folder, Learner& learner);

/// The values of a tensor of any floating dtype, as a view of its bytes. Throws Failure(kData).
[[nodiscard]] at::Tensor AsTensor(const SafeTensor& tensor);

/// The same in fp32: a view or a copy. Throws Failure(kData) naming `origin` and the tensor when one
/// of its values is no finite number there: training or an evaluation would only spread it.
[[nodiscard]] at::Tensor FiniteFloats(const SafeTensor& tensor, const std::string& origin);

/// Throws Failure(kData) when the weights of a checkpoint folder are not all finite.
void RequireFiniteWeights(const std::filesystem::path& folder);

inline constexpr const char* kModelFile = "model.safetensors";

}  // namespace sweep
