#pragma once

#include <ATen/core/Tensor.h>

namespace sweep {

/// How the tokens of a batch lie in rows: sample after sample, each with its own number of tokens.
/// Indices are int64, on the rows' device. B samples, R rows.
struct Sequences {
  int64_t batch = 0;
  int64_t longest = 0;   ///< tokens of the longest sample
  at::Tensor starts_B;   ///< first row of each sample
  at::Tensor lengths_B;  ///< tokens of each sample; undefined: all have `longest`
  at::Tensor cells_R;    ///< where each row lies in a grid [B, longest]; undefined as lengths_B is,
                         ///< or where the rows are that grid, padding among them

  [[nodiscard]] bool padded() const { return lengths_B.defined() && !cells_R.defined(); }
};

/// Samples of equally many tokens.
[[nodiscard]] Sequences EqualSequences(int64_t batch, int64_t tokens, at::Device device);

/// Texts up to their end-of-text tokens: under a causal mask nothing after it changes its feature,
/// so padding need not be computed.
struct TextRows {
  Sequences sequences;
  int64_t tokens = 0;  ///< of the texts, padding left out
  at::Tensor tokens_R;
  at::Tensor positions_R;
  at::Tensor ends_B;  ///< row of each text's end
};

/// Padding as rows of its own makes all batches of one shape; the features are the same.
enum class TextPadding { kLeftOut, kComputed };

/// Tokens up to the ends of texts: all that is computed.
[[nodiscard]] int64_t CountTextTokens(const at::Tensor& tokens_BT);

/// `tokens_BT` are int64 on the CPU; the end-of-text token is the first of a text's greatest, as in
/// CLIP. All indices go to the device in one copy, which is not waited for.
[[nodiscard]] TextRows PackTexts(const at::Tensor& tokens_BT,
                                 at::Device device,
                                 TextPadding padding = TextPadding::kLeftOut);

}  // namespace sweep
