#include "trainer/sequences.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include <catch2/catch.hpp>
#include <vector>

#include "trainer/attention.h"

namespace sweep {
namespace {

constexpr int64_t kHeads = 2;

at::Tensor Longs(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

// Texts of 3, 5 and 1 tokens in a context of 6; 9 ends a text.
at::Tensor ThreeTexts() {
  return Longs({4, 2, 9, 0, 0, 0, 1, 1, 3, 8, 9, 0, 9, 0, 0, 0, 0, 0}).view({3, 6});
}

struct Result {
  at::Tensor output;
  AttentionRows gradients;
};

// Attention and its gradients, of queries at all rows or one a sample.
Result Attend(const Attention& attention,
              const Sequences& sequences,
              const AttentionRows& rows,
              const at::Tensor& gradient) {
  AttentionSaved saved;
  Result result;
  result.output = attention.Forward(rows, sequences, saved);
  result.gradients = {
      at::empty_like(rows.query), at::empty_like(rows.key), at::empty_like(rows.value)};
  attention.Backward(rows, sequences, saved, gradient, result.gradients);
  return result;
}

AttentionRows As(const AttentionRows& rows, at::ScalarType type) {
  return {rows.query.to(type), rows.key.to(type), rows.value.to(type)};
}

bool Close(const at::Tensor& a, const at::Tensor& b) {
  return at::allclose(a.to(at::kDouble), b.to(at::kDouble), 1e-5, 1e-5);
}

}  // namespace

TEST_CASE("Texts are packed up to their ends") {
  const TextRows texts = PackTexts(ThreeTexts(), at::kCPU);
  CHECK(at::equal(texts.tokens_R, Longs({4, 2, 9, 1, 1, 3, 8, 9, 9})));
  CHECK(at::equal(texts.positions_R, Longs({0, 1, 2, 0, 1, 2, 3, 4, 0})));
  CHECK(at::equal(texts.ends_B, Longs({2, 7, 8})));
  CHECK(texts.sequences.longest == 5);
  CHECK(at::equal(texts.sequences.starts_B, Longs({0, 3, 8})));
  CHECK(at::equal(texts.sequences.lengths_B, Longs({3, 5, 1})));
  CHECK(at::equal(texts.sequences.cells_R, Longs({0, 1, 2, 5, 6, 7, 8, 9, 10})));
  // One copy to a device carries all of them.
  for (const at::Tensor& index : {texts.positions_R,
                                  texts.ends_B,
                                  texts.sequences.starts_B,
                                  texts.sequences.lengths_B,
                                  texts.sequences.cells_R})
    CHECK(index.is_alias_of(texts.tokens_R));
  CHECK(CountTextTokens(ThreeTexts()) == 9);
  CHECK(texts.tokens == 9);
  CHECK_FALSE(PackTexts(Longs({1, 9, 2, 9}).view({2, 2}), at::kCPU).sequences.cells_R.defined());
}

TEST_CASE("Texts whose padding is computed have the same rows whatever their lengths") {
  const TextRows texts = PackTexts(ThreeTexts(), at::kCPU, TextPadding::kComputed);
  CHECK(at::equal(texts.tokens_R, Longs({4, 2, 9, 4, 2, 9, 1, 1, 3, 8, 9, 1, 9, 9, 9, 9, 9, 9})));
  CHECK(
      at::equal(texts.positions_R, Longs({0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5})));
  CHECK(at::equal(texts.ends_B, Longs({2, 10, 12})));
  CHECK(at::equal(texts.sequences.starts_B, Longs({0, 6, 12})));
  CHECK(at::equal(texts.sequences.lengths_B, Longs({3, 5, 1})));
  CHECK(texts.sequences.longest == 6);
  CHECK(texts.sequences.padded());
  CHECK(texts.tokens == 9);
  const TextRows full =
      PackTexts(Longs({1, 9, 2, 9}).view({2, 2}), at::kCPU, TextPadding::kComputed);
  CHECK(full.sequences.padded());
}

// fp32 goes through the CPU kernel where heads are 16 wide, fp64 through products on a padded grid.
TEST_CASE("Attention of samples of different lengths is that of each sample alone") {
  const at::NoGradGuard no_autograd;
  const bool one = GENERATE(false, true);
  const bool causal = GENERATE(false, true);
  const at::ScalarType type = GENERATE(at::kFloat, at::kDouble);
  const auto padding = GENERATE(TextPadding::kLeftOut, TextPadding::kComputed);
  const bool padded = padding == TextPadding::kComputed;
  const Sequences sequences = PackTexts(ThreeTexts(), at::kCPU, padding).sequences;
  const int64_t width = kHeads * 16, count = padded ? 18 : 9;
  const AttentionRows rows = As(
      {at::randn({one ? 3 : count, width}), at::randn({count, width}), at::randn({count, width})},
      type);
  const std::vector<int64_t> starts =
      padded ? std::vector<int64_t>{0, 6, 12} : std::vector<int64_t>{0, 3, 8};
  const std::vector<int64_t> lengths = {3, 5, 1};
  at::Tensor gradient = at::randn(rows.query.sizes()).to(type);
  if (padded && !one) {  // nobody reads what padding asked
    const at::Tensor asked = gradient.clone();
    gradient.zero_();
    for (size_t b = 0; b < 3; ++b)
      gradient.narrow(0, starts[b], lengths[b]).copy_(asked.narrow(0, starts[b], lengths[b]));
  }
  const Attention attention(kHeads, causal);
  const Result all = Attend(attention, sequences, rows, gradient);
  for (int64_t b = 0; b < 3; ++b) {
    const auto at = static_cast<size_t>(b);
    const auto keys = [&](const at::Tensor& x) { return x.narrow(0, starts[at], lengths[at]); };
    const auto queries = [&](const at::Tensor& x) { return one ? x.narrow(0, b, 1) : keys(x); };
    const Result alone = Attend(attention,
                                EqualSequences(1, lengths[at], at::kCPU),
                                {queries(rows.query), keys(rows.key), keys(rows.value)},
                                queries(gradient));
    CHECK(Close(queries(all.output), alone.output));
    CHECK(Close(queries(all.gradients.query), alone.gradients.query));
    CHECK(Close(keys(all.gradients.key), alone.gradients.key));
    CHECK(Close(keys(all.gradients.value), alone.gradients.value));
    if (!padded) continue;
    const auto after = [&](const at::Tensor& x) {
      return x.narrow(0, starts[at] + lengths[at], 6 - lengths[at]);
    };
    CHECK(after(all.gradients.key).abs().max().item<double>() == 0);
    CHECK(after(all.gradients.value).abs().max().item<double>() == 0);
  }
}

TEST_CASE("The CPU kernel's attention over different lengths is that of explicit products") {
  const at::NoGradGuard no_autograd;
  const bool one = GENERATE(false, true);
  const Sequences sequences = PackTexts(ThreeTexts(), at::kCPU).sequences;
  const AttentionRows rows{at::randn({one ? 3 : 9, 64}), at::randn({9, 64}), at::randn({9, 64})};
  const at::Tensor gradient = at::randn(rows.query.sizes());
  const Attention attention(kHeads, /*causal=*/true);
  const Result fast = Attend(attention, sequences, rows, gradient);
  const Result slow = Attend(attention, sequences, As(rows, at::kDouble), gradient.to(at::kDouble));
  CHECK(Close(fast.output, slow.output));
  CHECK(Close(fast.gradients.query, slow.gradients.query));
  CHECK(Close(fast.gradients.key, slow.gradients.key));
  CHECK(Close(fast.gradients.value, slow.gradients.value));
}

}  // namespace sweep
