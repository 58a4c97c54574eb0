#include "trainer/sequences.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <algorithm>

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

TextRows PackTexts(const at::Tensor& tokens_BT, at::Device device) {
  const at::Tensor lengths = LengthsOf(tokens_BT);
  const int64_t batch = tokens_BT.size(0);
  const auto length = lengths.accessor<int64_t, 1>();
  const at::Tensor starts = at::empty({batch}, Indices(at::kCPU));
  auto start = starts.accessor<int64_t, 1>();
  int64_t rows = 0;
  int64_t longest = 0;
  for (int64_t b = 0; b < batch; ++b) {
    start[b] = rows;
    rows += length[b];
    longest = std::max(longest, length[b]);
  }
  // Token, position and cell of each row, in one piece: one copy to the device.
  const at::Tensor packed = at::empty({3, rows}, Indices(at::kCPU));
  auto at_row = packed.accessor<int64_t, 2>();
  const auto token = tokens_BT.accessor<int64_t, 2>();
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t t = 0; t < length[b]; ++t) {
      at_row[0][start[b] + t] = token[b][t];
      at_row[1][start[b] + t] = t;
      at_row[2][start[b] + t] = b * longest + t;
    }
  }
  const at::Tensor there = packed.to(device);
  TextRows texts;
  texts.tokens_R = there[0];
  texts.positions_R = there[1];
  texts.ends_B = (starts + lengths).sub_(1).to(device);
  texts.sequences.batch = batch;
  texts.sequences.longest = longest;
  texts.sequences.starts_B = starts.to(device);
  if (rows < batch * longest) {
    texts.sequences.lengths_B = lengths.to(device);
    texts.sequences.cells_R = there[2];
  }
  return texts;
}

}  // namespace sweep
