#include "trainer/parameter_list.h"

#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>

#include "trainer/random.h"

namespace sweep {
namespace {

constexpr uint64_t kInitialStream = 0x1417;

Initial Constant(double value) {
  return {Initial::Kind::kConstant, value};
}
Initial Normal(double deviation) {
  return {Initial::Kind::kNormal, deviation};
}
Initial Uniform(double bound) {
  return {Initial::Kind::kUniform, bound};
}

double InverseRoot(int64_t value) {
  return 1.0 / std::sqrt(static_cast<double>(value));
}

// Initial distributions of one tower's blocks. The image tower keeps PyTorch's defaults; the text
// tower scales by width and depth, as CLIP does.
struct BlockInitials {
  Initial in_proj, out_proj, c_fc, c_proj;
};

BlockInitials VisionBlockInitials(int64_t width, int64_t mlp_width) {
  const double xavier = std::sqrt(6.0 / static_cast<double>(width + 3 * width));
  return {Uniform(xavier),
          Uniform(InverseRoot(width)),
          Uniform(InverseRoot(width)),
          Uniform(InverseRoot(mlp_width))};
}

BlockInitials TextBlockInitials(int64_t width, int64_t layers) {
  const double residual = InverseRoot(width) * InverseRoot(2 * layers);
  return {Normal(InverseRoot(width)),
          Normal(residual),
          Normal(InverseRoot(2 * width)),
          Normal(residual)};
}

class Lister {
 public:
  void Add(const std::string& name, std::vector<int64_t> shape, Initial initial) {
    list.push_back({name, std::move(shape), initial, place});
  }

  void AddPosition(const std::string& name, std::vector<int64_t> shape, Initial initial) {
    Add(name, std::move(shape), initial);
    list.back().place.position = true;
  }

  void AddNorm(const std::string& name, int64_t width) {
    Add(name + ".weight", {width}, Constant(1));
    Add(name + ".bias", {width}, Constant(0));
  }

  void AddBlocks(const std::string& prefix,
                 int64_t layers,
                 int64_t width,
                 int64_t mlp_width,
                 const BlockInitials& initials,
                 double layer_scale) {
    for (int64_t i = 0; i < layers; ++i) {
      place.layer = i + 1;
      const std::string block = prefix + "resblocks." + std::to_string(i) + ".";
      AddNorm(block + "ln_1", width);
      Add(block + "attn.in_proj_weight", {3 * width, width}, initials.in_proj);
      Add(block + "attn.in_proj_bias", {3 * width}, Constant(0));
      Add(block + "attn.out_proj.weight", {width, width}, initials.out_proj);
      Add(block + "attn.out_proj.bias", {width}, Constant(0));
      if (layer_scale > 0) Add(block + "ls_1.gamma", {width}, Constant(layer_scale));
      AddNorm(block + "ln_2", width);
      Add(block + "mlp.c_fc.weight", {mlp_width, width}, initials.c_fc);
      Add(block + "mlp.c_fc.bias", {mlp_width}, Uniform(InverseRoot(width)));
      Add(block + "mlp.c_proj.weight", {width, mlp_width}, initials.c_proj);
      Add(block + "mlp.c_proj.bias", {width}, Uniform(InverseRoot(mlp_width)));
      if (layer_scale > 0) Add(block + "ls_2.gamma", {width}, Constant(layer_scale));
    }
  }

  std::vector<ParameterInfo> list;
  ParameterPlace place;  // of what is added next
};

// Standard normal deviates by Box and Muller, two at a time.
class NormalStream {
 public:
  explicit NormalStream(Random random) : random_(random) {}
  double Next() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2 * std::log(1 - random_.Unit()));
    const double angle = 2 * std::numbers::pi * random_.Unit();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

 private:
  Random random_;
  double spare_ = 0;
  bool has_spare_ = false;
};

// FNV-1a: a name's key must not depend on the standard library's hash.
uint64_t NameKey(const std::string& name) {
  uint64_t key = 0xCBF29CE484222325U;
  for (const char c : name) key = (key ^ static_cast<uint8_t>(c)) * 0x100000001B3U;
  return key;
}

}  // namespace

int64_t ParameterInfo::size() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

bool ParameterInfo::norm() const {
  return name.find("ln_") != std::string::npos;
}

std::vector<ParameterInfo> ListParameters(const ModelSpec& model) {
  const VisionSpec& v = model.vision;
  const TextSpec& t = model.text;
  const Initial vision_scale = Normal(InverseRoot(v.width));
  const int64_t vision_head = v.layers + 1;
  const int64_t text_head = t.layers + 1;
  Lister lister;
  lister.place = {Tower::kText, 0};
  lister.AddPosition("positional_embedding", {t.context_length, t.width}, Normal(0.01));
  lister.place = {Tower::kText, text_head};
  lister.Add("text_projection", {t.width, model.embed_dim}, Normal(InverseRoot(t.width)));
  lister.place = {};
  lister.Add(
      "logit_scale", {}, Constant(model.sigmoid() ? kInitialSigmoidScale : kInitialLogitScale));
  if (model.sigmoid()) lister.Add("logit_bias", {}, Constant(kInitialLogitBias));
  lister.place = {Tower::kVision, 0};
  lister.AddPosition("visual.class_embedding", {v.width}, vision_scale);
  lister.AddPosition("visual.positional_embedding", {v.tokens(), v.width}, vision_scale);
  lister.place = {Tower::kVision, vision_head};
  lister.Add("visual.proj", {v.width, model.embed_dim}, vision_scale);
  lister.place = {Tower::kVision, 0};
  lister.Add("visual.conv1.weight",
             {v.width, 3, v.patch_size, v.patch_size},
             Uniform(InverseRoot(3 * v.patch_size * v.patch_size)));
  lister.AddNorm("visual.ln_pre", v.width);
  lister.AddBlocks("visual.transformer.",
                   v.layers,
                   v.width,
                   v.mlp_width(),
                   VisionBlockInitials(v.width, v.mlp_width()),
                   v.ls_init_value);
  lister.place = {Tower::kVision, vision_head};
  lister.AddNorm("visual.ln_post", v.width);
  lister.place = {Tower::kText, 0};
  lister.AddBlocks("transformer.",
                   t.layers,
                   t.width,
                   t.mlp_width(),
                   TextBlockInitials(t.width, t.layers),
                   t.ls_init_value);
  lister.place = {Tower::kText, 0};
  lister.Add("token_embedding.weight", {t.vocab_size, t.width}, Normal(0.02));
  lister.place = {Tower::kText, text_head};
  lister.AddNorm("ln_final", t.width);
  return std::move(lister.list);
}

std::vector<float> InitialValues(const ParameterInfo& info, int64_t seed) {
  std::vector<float> values(static_cast<size_t>(info.size()));
  const Random random(seed, kInitialStream, NameKey(info.name));
  NormalStream normal(random);
  Random uniform = random;
  for (float& value : values) {
    double draw = 1;
    if (info.initial.kind == Initial::Kind::kNormal) draw = normal.Next();
    if (info.initial.kind == Initial::Kind::kUniform) draw = 2 * uniform.Unit() - 1;
    value = static_cast<float>(draw * info.initial.scale);
  }
  return values;
}

}  // namespace sweep
