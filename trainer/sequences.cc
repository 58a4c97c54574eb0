#include "trainer/sequences.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include "trainer/transfer.h"

namespace sweep {
namespace {

at::TensorOptions Indices(at::Device device) {
  return at::TensorOptions().device(device).dtype(at::kLong);
}

at::Tensor LengthsOf(const at::Tensor& tokens_BT) {
  return tokens_BT.argmax(1).add_(1);
}

}  // namespace

Sequences EqualSequences(int64_t batch, int64_t tokens, at::Device device) {
  Sequences equal;
  equal.batch = batch;
  equal.longest = tokens;
  equal.starts_B = at::arange(0, batch * tokens, tokens, Indices(device));
  return equal;
}

int64_t CountTextTokens(const at::Tensor& tokens_BT) {
  return LengthsOf(tokens_BT).sum().item<int64_t>();
}

TextRows PackTexts(const at::Tensor& tokens_BT, at::Device device, TextPadding padding) {
  const at::Tensor lengths = LengthsOf(tokens_BT);
  const int64_t batch = tokens_BT.size(0);
  const int64_t context = tokens_BT.size(1);
  const auto length = lengths.accessor<int64_t, 1>();
  const bool padded = padding == TextPadding::kComputed;
  const int64_t own = lengths.sum().item<int64_t>();
  const int64_t rows = padded ? batch * context : own;
  const int64_t longest = padded ? context : lengths.max().item<int64_t>();
  // Token, position and cell of each row; start, length and end of each sample.
  const at::Tensor packed = at::empty({3 * rows + 3 * batch}, HostMemory(device, at::kLong));
  auto* const token_R = packed.mutable_data_ptr<int64_t>();
  int64_t* const of_batch = token_R + 3 * rows;
  const auto token = tokens_BT.accessor<int64_t, 2>();
  int64_t row = 0;
  for (int64_t b = 0; b < batch; ++b) {
    of_batch[b] = row;
    of_batch[batch + b] = length[b];
    of_batch[2 * batch + b] = row + length[b] - 1;
    const int64_t computed = padded ? context : length[b];
    for (int64_t t = 0; t < computed; ++t, ++row) {
      // Any tokens will do for padding: the text's own again spread what their rows add to the
      // embeddings' gradients, zeros all, over many addresses.
      token_R[row] = token[b][t % length[b]];
      token_R[rows + row] = t;
      token_R[2 * rows + row] = b * longest + t;
    }
  }
  const at::Tensor there = Send(packed, device);
  TextRows texts;
  texts.tokens = own;
  texts.tokens_R = there.narrow(0, 0, rows);
  texts.positions_R = there.narrow(0, rows, rows);
  texts.sequences.batch = batch;
  texts.sequences.longest = longest;
  texts.sequences.starts_B = there.narrow(0, 3 * rows, batch);
  texts.ends_B = there.narrow(0, 3 * rows + 2 * batch, batch);
  const bool in_grid = rows == batch * longest;
  if (padded || !in_grid) texts.sequences.lengths_B = there.narrow(0, 3 * rows + batch, batch);
  if (!in_grid) texts.sequences.cells_R = there.narrow(0, 2 * rows, rows);
  return texts;
}

}  // namespace sweep
