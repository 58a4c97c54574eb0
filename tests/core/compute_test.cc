#include "core/compute.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include "core/failure.h"

namespace sweep {
namespace {

struct TableRow {
  const char* name;
  ModelSpec model;
  double gmacs_vision, gmacs_text, gmacs_total;  // rounded to two decimals, as published
  int64_t parameters;                            // 0: published only in rounded form
};

ModelSpec Clip(int64_t image,
               int64_t patch,
               int64_t vision_width,
               int64_t vision_layers,
               int64_t head_width,
               double mlp_ratio,
               int64_t text_width,
               int64_t text_heads,
               int64_t text_layers,
               int64_t embed) {
  return ModelSpec{embed,
                   VisionSpec{image, patch, vision_width, vision_layers, head_width, mlp_ratio},
                   TextSpec{77, 49408, text_width, text_heads, text_layers, 4.0},
                   false};
}

// open_clip's model table (dimensions, GMACs) and its exact parameter counts.
const TableRow kTable[] = {
    {"S/32", Clip(224, 32, 384, 12, 64, 4, 384, 6, 12, 384), 1.15, 1.69, 2.84, 63085825},
    {"S/16", Clip(224, 16, 384, 12, 64, 4, 384, 6, 12, 384), 4.61, 1.69, 6.30, 62257537},
    {"S/32-alt", Clip(224, 32, 384, 12, 64, 4, 256, 4, 10, 256), 1.15, 0.64, 1.78, 0},
    {"M/32", Clip(224, 32, 512, 12, 64, 4, 512, 8, 12, 512), 2.00, 2.98, 4.98, 103119873},
    {"M/16", Clip(224, 16, 512, 12, 64, 4, 512, 8, 12, 512), 8.00, 2.98, 10.99, 0},
    {"B/32", Clip(224, 32, 768, 12, 64, 4, 512, 8, 12, 512), 4.41, 2.98, 7.40, 151277313},
    {"B/16", Clip(224, 16, 768, 12, 64, 4, 512, 8, 12, 512), 17.58, 2.98, 20.57, 149620737},
    {"B/16+", Clip(240, 16, 896, 12, 64, 4, 640, 10, 12, 640), 27.41, 4.64, 32.05, 208377345},
    {"L/16", Clip(224, 16, 1024, 24, 64, 4, 768, 12, 12, 768), 61.60, 6.66, 68.26, 0},
    {"L/14", Clip(224, 14, 1024, 24, 64, 4, 768, 12, 12, 768), 81.08, 6.66, 87.73, 427616513},
    {"L/14-336", Clip(336, 14, 1024, 24, 64, 4, 768, 12, 12, 768), 191.10, 6.66, 197.76, 0},
    {"H/16", Clip(224, 16, 1280, 32, 80, 4, 1024, 16, 24, 1024), 127.40, 23.57, 150.96, 0},
    {"H/14", Clip(224, 14, 1280, 32, 80, 4, 1024, 16, 24, 1024), 167.40, 23.57, 190.97, 986109441},
    {"H/14-336", Clip(336, 14, 1280, 32, 80, 4, 1024, 16, 24, 1024), 390.97, 23.57, 414.53, 0},
    {"g/14",
     Clip(224, 14, 1408, 40, 88, 4.3637, 1024, 16, 24, 1024),
     267.18,
     23.57,
     290.74,
     1366678273},
    {"G/14",
     Clip(224, 14, 1664, 48, 104, 4.9231, 1280, 20, 32, 1280),
     483.96,
     48.96,
     532.92,
     2539567105},
    {"e/14",
     Clip(224, 14, 1792, 56, 112, 8.5715, 1280, 20, 36, 1280),
     990.94,
     55.08,
     1046.02,
     4581086465},
};

double TwoDecimals(double value) {
  return std::round(value * 100) / 100;
}

}  // namespace

TEST_CASE("Parameter counts equal open_clip's to the unit") {
  for (const TableRow& row : kTable) {
    INFO(row.name);
    if (row.parameters != 0) CHECK(CountParameters(row.model).total() == row.parameters);
  }
}

TEST_CASE("Forward GMACs equal the published table to its two decimals") {
  for (const TableRow& row : kTable) {
    INFO(row.name);
    const ForwardGmacs gmacs = CountForwardGmacs(row.model);
    CHECK(TwoDecimals(gmacs.vision) == Approx(row.gmacs_vision).epsilon(1e-12));
    CHECK(TwoDecimals(gmacs.text) == Approx(row.gmacs_text).epsilon(1e-12));
    CHECK(TwoDecimals(gmacs.total()) == Approx(row.gmacs_total).epsilon(1e-12));
  }
}

TEST_CASE("Training FLOPs give the utilisation of LAION's published rates") {
  // trained_models_info.csv of scaling-laws-openclip: images a second and A100 (312 TFLOP/s in
  // bf16).
  struct Published {
    const char* name;
    double images_per_second, percent;
  };
  const Published rates[] = {{"B/32", 850.3, 12.1},
                             {"B/16", 374.3, 14.8},
                             {"L/14", 177.6, 30.0},
                             {"H/14", 42.0, 15.4},
                             {"g/14", 31.0, 17.3}};
  for (const Published& rate : rates) {
    RunSpec spec;
    spec.model = std::ranges::find(kTable, std::string(rate.name), &TableRow::name)->model;
    INFO(rate.name);
    CHECK(100 * rate.images_per_second * TrainFlopsPerSample(spec) / 312e12 ==
          Approx(rate.percent).margin(0.06));
  }
}

TEST_CASE("FLOPs that are computed leave out padding and the last block's other tokens") {
  RunSpec spec;
  spec.model.embed_dim = 3;
  spec.model.vision = {4, 2, 8, 1, 4, 2.0};  // 4 patches and the class token, one block
  spec.model.text = {10, 20, 4, 2, 2, 4.0};  // two blocks; 6.5 tokens on average
  // Patches, keys and values of all tokens; query, output and MLP of one; its attention; norms of
  // all before (ln_pre, ln_1) and of one after (ln_2, ln_post); projection.
  const double vision =
      4 * 12 * 8 + 5 * 2 * 64 + (2 * 64 + 2 * 8 * 16) + 2 * 5 * 8 + 5 * (2 * 5 * 8 + 2 * 8) + 8 * 3;
  const double first = 6.5 * (4 * 16 + 2 * 4 * 16) + 2 * 6.5 * 6.5 * 4 + 5 * 2 * 6.5 * 4;
  const double last = 6.5 * 2 * 16 + (2 * 16 + 2 * 4 * 16) + 2 * 6.5 * 4 + 5 * (6.5 * 4 + 2 * 4);
  CHECK(ComputedTrainFlopsPerSample(spec, 6.5) ==
        Approx(6 * (vision + first + last + 4 * 3)).epsilon(1e-12));
  CHECK(ComputedTrainFlopsPerSample(spec, 10) < TrainFlopsPerSample(spec));
}

TEST_CASE("A utilisation is that of all devices together") {
  CHECK(ModelFlopsUtilisation(8000, 40e9, 989e12, 1) == Approx(0.3236).epsilon(1e-3));
  CHECK(ModelFlopsUtilisation(8000, 40e9, 989e12, 8) == Approx(0.3236 / 8).epsilon(1e-3));
}

TEST_CASE("ParseModelSpec names the field, its value and what was expected") {
  const Json json = Json::parse(R"({"embed_dim":8,
    "vision":{"image_size":30,"patch_size":8,"width":64,"layers":1},
    "text":{"context_length":8,"vocab_size":20,"width":8,"heads":2,"layers":1}})");
  CHECK_THROWS_WITH(ParseModelSpec(json, "models/x.json"),
                    Catch::Contains("models/x.json") && Catch::Contains("vision.patch_size is 8") &&
                        Catch::Contains("divisor of vision.image_size = 30"));
}

namespace {

// Peak resident memory as `clip_train bench --warmup 1 --seconds 0.1 --threads 1` reports it, and
// what of it the process holds before it trains anything.
constexpr double kProcessBytes = 134e6;

struct MeasuredPeak {
  const char* model;
  ModelSpec spec;
  StepSize step;
  double bytes;
};

ModelSpec Scenes(int64_t width, int64_t layers) {
  return ModelSpec{width,
                   VisionSpec{28, 7, width, layers, 32, 4},
                   TextSpec{16, 64, width, width / 32, layers, 4.0},
                   false};
}

const ModelSpec kClipB32{
    512, VisionSpec{224, 32, 768, 12}, TextSpec{77, 49408, 512, 8, 12, 4.0}, false};
const ModelSpec kClip32px{192, VisionSpec{32, 8, 192, 4}, TextSpec{16, 512, 192, 3, 4, 4.0}, false};

}  // namespace

TEST_CASE("The estimate of training memory is near the measured peaks") {
  ModelSpec b16 = kClipB32;
  b16.vision.patch_size = 16;
  const MeasuredPeak peaks[] = {
      {"clip-32px", kClip32px, {128, 0, false}, 393527296},
      {"clip-32px", kClip32px, {512, 0, false}, 956596224},
      {"clip-32px", kClip32px, {512, 0, true}, 624103424},
      {"clip-32px", kClip32px, {512, 0, false, "cheap"}, 760061952},
      {"clip-32px", kClip32px, {512, 0, false, "blocks"}, 442261504},
      {"scenes-m", Scenes(96, 3), {128, 0, false}, 217604096},
      {"scenes-m", Scenes(96, 3), {512, 0, false}, 423612416},
      {"scenes-m", Scenes(96, 3), {2048, 0, false}, 1264091136},
      {"scenes-l", Scenes(128, 4), {512, 0, false}, 673153024},
      {"scenes-l", Scenes(128, 4), {512, 0, true}, 472862720},
      {"B/32", kClipB32, {32, 0, false}, 4566298624},
      {"B/32", kClipB32, {32, 0, true}, 3966373888},
      {"B/16", b16, {16, 0, false}, 5160087552},
      {"B/16", b16, {16, 0, true}, 4206960640},
      {"B/32, two processes", kClipB32, {8, 0, false, "none", "none", 2}, 3083e6},
      {"B/32, two processes", kClipB32, {8, 0, false, "none", "optimizer", 2}, 2701e6},
      {"B/32, two processes", kClipB32, {8, 0, false, "none", "weights", 2}, 2166e6},
  };
  for (const MeasuredPeak& peak : peaks) {
    const double estimate = kProcessBytes + EstimateTrainMemory(peak.spec, peak.step).total();
    INFO(peak.model << " batch " << peak.step.batch_size << " bf16 " << peak.step.two_bytes);
    CHECK(peak.bytes / estimate ==
          Approx(peak.step.two_bytes ? 1.035 : 1.0).margin(peak.step.two_bytes ? 0.07 : 0.03));
  }
}

TEST_CASE("Smaller pieces of a batch take less memory, and large batches hold no logits") {
  const TrainMemory whole = EstimateTrainMemory(kClip32px, {2048, 0, false});
  const TrainMemory pieces = EstimateTrainMemory(kClip32px, {2048, 512, false});
  CHECK(pieces.activations == Approx(whole.activations / 4));
  CHECK(pieces.state == whole.state);
  CHECK(whole.loss == 2 * 2048.0 * 2048.0 * 4);
  CHECK(EstimateTrainMemory(kClip32px, {4096, 0, false}).loss == whole.loss);
  CHECK(CheckpointBytes(kClip32px) ==
        12.0 * static_cast<double>(CountParameters(kClip32px).total()));
}

}  // namespace sweep
