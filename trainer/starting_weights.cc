#include "trainer/starting_weights.h"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/upsample_linear1d.h>
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "core/failure.h"
#include "core/printable.h"
#include "trainer/safetensors.h"
#include "trainer/weights.h"

namespace sweep {
namespace {

// Of a name in a file, the name in our list.
std::string OwnName(std::string name) {
  for (const std::string prefix : {"module.", "text."}) {
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
  }
  return name;
}

bool IsBuffer(const std::string& name) {
  return name == "attn_mask";
}

// [1 + n, W] to [1 + m, W]: the class token's stays, the others are a square grid. Undefined where
// they are none.
at::Tensor ResizeImagePositions(const at::Tensor& from_NW, int64_t positions) {
  const auto side = [](int64_t patches) {
    return static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(patches))));
  };
  const int64_t patches = from_NW.size(0) - 1;
  if (patches < 1 || side(patches) * side(patches) != patches) return {};
  const int64_t old_side = side(patches);
  const int64_t new_side = side(positions - 1);
  const int64_t width = from_NW.size(1);
  const at::Tensor grid = from_NW.narrow(0, 1, old_side * old_side)
                              .view({1, old_side, old_side, width})
                              .permute({0, 3, 1, 2});
  const at::Tensor resized = at::_upsample_bicubic2d_aa(grid, {new_side, new_side}, false);
  return at::cat({from_NW.narrow(0, 0, 1),
                  resized.permute({0, 2, 3, 1}).reshape({new_side * new_side, width})});
}

at::Tensor ResizeTextPositions(const at::Tensor& from_TW, int64_t positions) {
  return at::upsample_linear1d(from_TW.t().unsqueeze(0), {positions}, false).squeeze(0).t();
}

at::Tensor ResizePatches(const at::Tensor& from_W3PP, int64_t side) {
  return at::upsample_bicubic2d(from_W3PP, {side, side}, false);
}

// `from` in the shape of `info`, or undefined where that cannot be.
at::Tensor Fit(const at::Tensor& from, const ParameterInfo& info) {
  const std::vector<int64_t>& shape = info.shape;
  if (from.sizes() == at::IntArrayRef(shape)) return from;
  if (from.dim() != static_cast<int64_t>(shape.size()) || shape.size() < 2 || from.numel() == 0)
    return {};
  const bool same_width = from.size(1) == shape[1];
  if (info.name == "visual.positional_embedding" && same_width)
    return ResizeImagePositions(from, shape[0]);
  if (info.name == "positional_embedding" && same_width) return ResizeTextPositions(from, shape[0]);
  const bool square = from.dim() == 4 && from.size(2) == from.size(3);
  if (info.name == "visual.conv1.weight" && from.size(0) == shape[0] && same_width && square)
    return ResizePatches(from, shape[2]);
  return {};
}

// Parameters that may keep their first values.
bool MayBeLeft(const ParameterInfo& info, bool tower_alone) {
  const bool projection = info.name == "visual.proj" || info.name == "text_projection";
  return (tower_alone && projection) || info.name == "logit_bias";
}

}  // namespace

void LoadStartingWeights(const std::filesystem::path& path,
                         std::optional<Tower> tower,
                         ParameterStore& parameters) {
  const SafetensorsFile file(path);
  std::map<std::string, const SafeTensor*> found;
  for (const auto& [name, tensor] : file.tensors()) {
    const std::string own = OwnName(name);
    if (IsBuffer(own) || found.emplace(own, &tensor).second) continue;
    throw Failure(FailureCode::kData,
                  fmt::format("{}: tensor '{}' is there twice, as '{}' and '{}'",
                              path.string(),
                              Printable(own),
                              Printable(found[own]->name),
                              Printable(name)));
  }
  for (size_t i = 0; i < parameters.list().size(); ++i) {
    const ParameterInfo& info = parameters.list()[i];
    const auto from = found.find(info.name);
    const SafeTensor* tensor = from == found.end() ? nullptr : from->second;
    if (from != found.end()) found.erase(from);
    if (tower && info.place.tower != *tower) continue;
    const at::Tensor values =
        tensor != nullptr ? Fit(FiniteFloats(*tensor, path.string()), info) : at::Tensor();
    if (values.defined()) {
      parameters.SetMaster(i, values);
    } else if (!MayBeLeft(info, tower.has_value())) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}: tensor '{}' {}, expected shape {}",
                                path.string(),
                                info.name,
                                tensor != nullptr ? "has shape " + Json(tensor->shape).dump()
                                                  : std::string("is missing"),
                                Json(info.shape).dump()));
    }
  }
  if (!tower && !found.empty()) {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: tensor '{}' is not one of the model's",
                              path.string(),
                              Printable(found.begin()->first)));
  }
  parameters.PublishMasters();
}

}  // namespace sweep
