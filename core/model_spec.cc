#include "core/model_spec.h"

#include <fmt/format.h>

#include "core/json_fields.h"

namespace sweep {
namespace {

class Checker {
 public:
  explicit Checker(const std::string& origin) : origin_(origin) {}

  void Positive(const char* field, int64_t value) const {
    if (value <= 0) Fail(field, value, "a positive number");
  }
  void Divides(const char* field, int64_t value, const char* whole_name, int64_t whole) const {
    if (value <= 0 || whole % value != 0) {
      Fail(field, value, fmt::format("a divisor of {} = {}", whole_name, whole));
    }
  }
  void AtLeast(const char* field, double value, double least) const {
    if (!(value >= least)) Fail(field, value, fmt::format("at least {}", least));
  }

  void OneOf(const char* field, const std::string& value, const char* a, const char* b) const {
    if (value != a && value != b) Fail(field, value, fmt::format("{} or {}", a, b));
  }

 private:
  template <class T>
  [[noreturn]] void Fail(const char* field, T value, const std::string& expected) const {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{}: {} is {}, expected {}", origin_, field, value, expected));
  }
  const std::string& origin_;
};

}  // namespace

ModelSpec ParseModelSpec(const Json& json, const std::string& origin) {
  auto model = FieldsFromJson<ModelSpec>(json, origin);
  ValidateModelSpec(model, origin);
  return model;
}

void ValidateModelSpec(const ModelSpec& model, const std::string& origin) {
  const Checker check(origin);
  check.Positive("embed_dim", model.embed_dim);
  check.Positive("vision.image_size", model.vision.image_size);
  check.Divides(
      "vision.patch_size", model.vision.patch_size, "vision.image_size", model.vision.image_size);
  check.Positive("vision.width", model.vision.width);
  check.Positive("vision.layers", model.vision.layers);
  check.Divides("vision.head_width", model.vision.head_width, "vision.width", model.vision.width);
  check.AtLeast(
      "vision.mlp_ratio * vision.width", static_cast<double>(model.vision.mlp_width()), 1);
  check.AtLeast("text.context_length", static_cast<double>(model.text.context_length), 3);
  check.AtLeast("text.vocab_size", static_cast<double>(model.text.vocab_size), 3);
  check.Positive("text.width", model.text.width);
  check.Positive("text.layers", model.text.layers);
  check.Divides("text.heads", model.text.heads, "text.width", model.text.width);
  check.AtLeast("text.mlp_ratio * text.width", static_cast<double>(model.text.mlp_width()), 1);
  check.AtLeast("vision.ls_init_value", model.vision.ls_init_value, 0);
  check.AtLeast("text.ls_init_value", model.text.ls_init_value, 0);
  check.OneOf("loss", model.loss, "softmax", "sigmoid");
}

}  // namespace sweep
