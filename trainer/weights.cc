#include "trainer/weights.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <cstring>
#include <functional>
#include <memory>

#include "core/failure.h"
#include "core/printable.h"
#include "trainer/safetensors.h"

namespace sweep {
namespace {

constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kHistoryFile = "history.safetensors";
constexpr const char* kFirst = "exp_avg.";
constexpr const char* kSecond = "exp_avg_sq.";

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

// What a file holds that has one tensor a parameter for each of the prefixes.
std::vector<SafeTensor> Contents(const ParameterStore& parameters,
                                 const std::vector<std::string>& prefixes) {
  std::vector<SafeTensor> tensors;
  for (const std::string& prefix : prefixes) {
    for (const ParameterInfo& info : parameters.list())
      tensors.push_back({prefix + info.name, "F32", info.shape, {}});
  }
  return tensors;
}

// This process's part of a bucket of weights or moments.
using PartOfBucket = std::function<at::Tensor(const ParameterStore::Part&)>;

PartOfBucket PartsIn(const at::Tensor& parts) {
  return [parts](const ParameterStore::Part& part) {
    return parts.narrow(0, part.begin, part.master.size(0));
  };
}

// Gathers one bucket after the other, so that none but one is held twice. `writer` may be null.
void WriteBuckets(const ParameterStore& parameters,
                  const PartOfBucket& part_of,
                  const std::string& prefix,
                  SafetensorsWriter* writer) {
  if (writer == nullptr && !parameters.sharded()) return;
  for (size_t b = 0; b < parameters.parts().size(); ++b) {
    const at::Tensor whole = parameters.WholeBucket(part_of(parameters.parts()[b]));
    if (writer == nullptr) continue;
    const at::Tensor host = whole.cpu();
    for (const size_t i : parameters.layout().buckets()[b].members) {
      const ParameterInfo& info = parameters.list()[i];
      const int64_t begin = parameters.layout().SpanOf(i).begin;
      writer->Write(prefix + info.name, BytesOf(host.narrow(0, begin, info.size())));
    }
  }
}

// Null where this process writes nothing.
std::unique_ptr<SafetensorsWriter> OpenWriter(const std::optional<std::filesystem::path>& path,
                                              const ParameterStore& parameters,
                                              const std::vector<std::string>& prefixes) {
  if (!path) return nullptr;
  return std::make_unique<SafetensorsWriter>(*path, Contents(parameters, prefixes));
}

// Calls `take` with each parameter's values.
void ReadParameters(const SafetensorsFile& file,
                    const std::string& origin,
                    const std::string& prefix,
                    const ParameterStore& parameters,
                    const std::function<void(size_t index, const at::Tensor& values)>& take) {
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
    take(i, AsTensor(tensor));
  }
}

// Infinities and NaNs have all bits of the exponent set.
bool AllFinite(const at::Tensor& values) {
  constexpr uint32_t kExponent = 0x7F80'0000;
  const auto* bytes = static_cast<const char*>(values.const_data_ptr());
  bool finite = true;
  for (int64_t i = 0; i < values.numel(); ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, bytes + sizeof bits * static_cast<size_t>(i), sizeof bits);
    finite &= (bits & kExponent) != kExponent;
  }
  return finite;
}

void RequireFinite(const SafetensorsFile& file, const std::string& origin) {
  for (const auto& [name, tensor] : file.tensors()) (void)FiniteFloats(tensor, origin);
}

void SaveMoments(Learner& learner, const std::optional<std::filesystem::path>& path) {
  const ParameterStore& parameters = learner.parameters();
  const Optimizer& optimizer = learner.optimizer();
  const auto writer = OpenWriter(path, parameters, {kFirst, kSecond});
  WriteBuckets(parameters, PartsIn(optimizer.first_moment()), kFirst, writer.get());
  WriteBuckets(parameters, PartsIn(optimizer.second_moment()), kSecond, writer.get());
  if (writer) writer->Finish();
}

void LoadMoments(const std::filesystem::path& path, Learner& learner) {
  const ParameterStore& parameters = learner.parameters();
  const Optimizer& optimizer = learner.optimizer();
  const SafetensorsFile file(path);
  const auto into = [&](const at::Tensor& moments) {
    return [&parameters, moments](size_t i, const at::Tensor& values) {
      parameters.CopyPart(i, values, moments);
    };
  };
  ReadParameters(file, path.string(), kFirst, parameters, into(optimizer.first_moment()));
  ReadParameters(file, path.string(), kSecond, parameters, into(optimizer.second_moment()));
}

}  // namespace

at::Tensor AsTensor(const SafeTensor& tensor) {
  return at::from_blob(const_cast<char*>(tensor.bytes.data()), tensor.shape, ScalarTypeOf(tensor));
}

at::Tensor FiniteFloats(const SafeTensor& tensor, const std::string& origin) {
  const at::Tensor values = AsTensor(tensor).to(at::kFloat);
  if (AllFinite(values)) return values;
  throw Failure(FailureCode::kData,
                fmt::format("{}: tensor '{}' has values that are not finite fp32 numbers",
                            origin,
                            Printable(tensor.name)));
}

void SaveWeights(const ParameterStore& parameters,
                 const std::optional<std::filesystem::path>& path) {
  const auto writer = OpenWriter(path, parameters, {""});
  const auto master = [](const ParameterStore::Part& part) { return part.master; };
  WriteBuckets(parameters, master, "", writer.get());
  if (writer) writer->Finish();
}

void LoadWeights(const std::filesystem::path& path, ParameterStore& parameters) {
  const SafetensorsFile file(path);
  RequireFinite(file, path.string());
  ReadParameters(file, path.string(), "", parameters, [&](size_t i, const at::Tensor& values) {
    parameters.SetMaster(i, values);
  });
  for (const auto& [name, tensor] : file.tensors()) (void)parameters.Get(name);
  parameters.PublishMasters();
}

void RequireFiniteWeights(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kModelFile;
  RequireFinite(SafetensorsFile(path), path.string());
}

void SaveState(Learner& learner,
               const std::vector<float>& losses,
               const std::optional<std::filesystem::path>& folder) {
  const auto file = [&](const char* name) {
    return folder ? std::optional(*folder / name) : std::nullopt;
  };
  SaveWeights(learner.parameters(), file(kModelFile));
  SaveMoments(learner, file(kOptimizerFile));
  if (!folder) return;
  const std::string_view bytes(reinterpret_cast<const char*>(losses.data()),
                               losses.size() * sizeof(float));
  WriteSafetensors(*file(kHistoryFile),
                   {{"loss", "F32", {static_cast<int64_t>(losses.size())}, bytes}});
}

std::vector<float> LoadState(const std::filesystem::path& folder, Learner& learner) {
  LoadWeights(folder / kModelFile, learner.parameters());
  LoadMoments(folder / kOptimizerFile, learner);
  const SafetensorsFile history(folder / kHistoryFile);
  const SafeTensor& loss = history.Get("loss");
  if (loss.dtype != "F32")
    throw Failure(FailureCode::kData,
                  fmt::format("{}: tensor 'loss' has dtype {}, expected F32",
                              (folder / kHistoryFile).string(),
                              loss.dtype));
  std::vector<float> losses(loss.bytes.size() / sizeof(float));
  std::memcpy(losses.data(), loss.bytes.data(), losses.size() * sizeof(float));
  return losses;
}

}  // namespace sweep
