// The kernels of cpu_kernels.h. Included once by each of cpu_kernels_{v2,v3,v4}.cc, which are
// compiled for different instruction sets; SWEEP_KERNELS names their namespace. Nothing of the
// standard library may be used here: the linker could take its inline functions from the AVX-512
// build for every CPU.
#pragma once

#include <cstdint>

#include "trainer/cpu_kernels.h"

namespace sweep::SWEEP_KERNELS {
namespace {

using Vec = float __attribute__((vector_size(64)));
using IntVec = int32_t __attribute__((vector_size(64)));
using BitsVec = uint32_t __attribute__((vector_size(64)));
using HalfVec = uint16_t __attribute__((vector_size(32)));
using Quad = float __attribute__((vector_size(16)));
using IntQuad = int32_t __attribute__((vector_size(16)));

#define SWEEP_INLINE inline __attribute__((always_inline))

template <class To, class From>
SWEEP_INLINE To BitCast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

SWEEP_INLINE Vec Load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
SWEEP_INLINE Vec Load(const uint16_t* p) {
  HalfVec half;
  __builtin_memcpy(&half, p, sizeof(half));
  return BitCast<Vec>(__builtin_convertvector(half, BitsVec) << 16);
}
SWEEP_INLINE void Store(float* p, Vec v) {
  __builtin_memcpy(p, &v, sizeof(v));
}
SWEEP_INLINE void Store(uint16_t* p, Vec v) {
  const BitsVec bits = BitCast<BitsVec>(v);
  const BitsVec rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;  // to nearest even
  const HalfVec half = __builtin_convertvector(rounded, HalfVec);
  __builtin_memcpy(p, &half, sizeof(half));
}
SWEEP_INLINE Vec All(float x) {
  return Vec{} + x;
}
SWEEP_INLINE float Sum(Vec v) {
  float sum = 0;
  for (int64_t i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}
SWEEP_INLINE float Max(Vec v) {
  float most = v[0];
  for (int64_t i = 1; i < kLanes; ++i) most = v[i] > most ? v[i] : most;
  return most;
}
SWEEP_INLINE Vec Choose(IntVec mask, Vec yes, Vec no) {
  return BitCast<Vec>((mask & BitCast<IntVec>(yes)) | (~mask & BitCast<IntVec>(no)));
}

// exp(x) for x <= 0, to about 1e-7 relative: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]
// (Cephes' expf). Below -87 it is the smallest normal number, near enough to 0.
SWEEP_INLINE Vec Exp(Vec x) {
  x = Choose(x < -87.0F, All(-87.0F), x);
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const Vec n = (x * 1.44269504088896341F + kRound) - kRound;
  const Vec r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
  Vec p = All(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  return p * BitCast<Vec>((__builtin_convertvector(n, IntVec) + 127) << 23);
}

struct PhiAndDensity {
  Vec phi;      // the normal distribution function
  Vec density;  // its derivative
};

// Phi(x) = (1 + erf(x / sqrt 2)) / 2 with Abramowitz and Stegun 7.1.26 (error below 1.5e-7), whose
// exp(-x^2 / 2) is also the density's.
SWEEP_INLINE PhiAndDensity Normal(Vec x) {
  const Vec z = Choose(x < 0.0F, -x, x) * 0.70710678118654752F;
  const Vec e = Exp(-z * z);
  const Vec t = 1.0F / (1.0F + 0.3275911F * z);
  Vec p = All(1.061405429F);
  p = p * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  const Vec tail = 0.5F * p * t * e;  // Phi(-|x|)
  return {Choose(x < 0.0F, tail, 1.0F - tail), e * 0.39894228040143268F};
}

template <class T>
void BiasGelu(T* hidden, const T* bias, T* activated, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t c = 0; c < width; c += kLanes) {
      T* at = hidden + row * width + c;
      if (bias != nullptr) Store(at, Load(at) + Load(bias + c));
      const Vec x = Load(at);  // as stored: backward sees the same
      Store(activated + row * width + c, x * Normal(x).phi);
    }
  }
}

template <class T>
void GeluBackward(
    const T* hidden, T* gradient, float* bias_gradient, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t c = 0; c < width; c += kLanes) {
      const Vec x = Load(hidden + row * width + c);
      const PhiAndDensity normal = Normal(x);
      T* at = gradient + row * width + c;
      const Vec g = Load(at) * (normal.phi + x * normal.density);
      Store(at, g);
      Store(bias_gradient + c, Load(bias_gradient + c) + g);
    }
  }
}

template <class T>
void BiasResidual(
    T* x, const T* bias, const T* residual, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t c = 0; c < width; c += kLanes) {
      T* at = x + row * width + c;
      Store(at, Load(at) + Load(bias + c) + Load(residual + row * width + c));
    }
  }
}

template <class T>
void ColumnSums(const T* x, float* sums, int64_t width, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t c = 0; c < width; c += kLanes)
      Store(sums + c, Load(sums + c) + Load(x + row * width + c));
  }
}

template <class T>
void Accumulate(const T* x, float* sums, int64_t width, int64_t begin, int64_t end) {
  for (int64_t i = begin * width; i < end * width; i += kLanes)
    Store(sums + i, Load(sums + i) + Load(x + i));
}

// Four neighbours: every instruction set here can interleave them in one instruction.
SWEEP_INLINE Quad LoadQuad(const float* p) {
  Quad v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
SWEEP_INLINE void PutQuad(float* p, Quad v) {
  __builtin_memcpy(p, &v, sizeof(v));
}

// Two rounds of interleaving the first half with the second transpose 4 x 4.
SWEEP_INLINE void TransposeQuads(Quad (&rows)[4]) {
  for (int64_t round = 0; round < 2; ++round) {
    const Quad a = rows[0];
    const Quad b = rows[1];
    const Quad c = rows[2];
    const Quad d = rows[3];
    rows[0] = __builtin_shuffle(a, c, IntQuad{0, 4, 1, 5});
    rows[1] = __builtin_shuffle(a, c, IntQuad{2, 6, 3, 7});
    rows[2] = __builtin_shuffle(b, d, IntQuad{0, 4, 1, 5});
    rows[3] = __builtin_shuffle(b, d, IntQuad{2, 6, 3, 7});
  }
}

// to[c, r] = x[r, c], or += it. Works through kLanes columns and four rows at a time: whole cache
// lines are read, and each line written is finished by the next rows.
template <bool kAdd>
SWEEP_INLINE void TransposeColumns(
    const float* x, float* to, int64_t rows, int64_t width, int64_t begin, int64_t end) {
  const int64_t whole = rows / 4 * 4;
  for (int64_t strip = begin; strip < end; strip += kLanes) {
    for (int64_t row = 0; row < whole; row += 4) {
      for (int64_t c = strip; c < strip + kLanes; c += 4) {
        Quad quads[4];
        for (int64_t i = 0; i < 4; ++i) quads[i] = LoadQuad(x + (row + i) * width + c);
        TransposeQuads(quads);
        for (int64_t i = 0; i < 4; ++i) {
          float* at = to + (c + i) * rows + row;
          if constexpr (kAdd) quads[i] += LoadQuad(at);
          PutQuad(at, quads[i]);
        }
      }
    }
    for (int64_t row = whole; row < rows; ++row) {
      for (int64_t c = strip; c < strip + kLanes; ++c) {
        float* at = to + c * rows + row;
        if constexpr (kAdd) {
          *at += x[row * width + c];
        } else {
          *at = x[row * width + c];
        }
      }
    }
  }
}

void TransposeRows(
    const float* x, float* to, int64_t rows, int64_t width, int64_t begin, int64_t end) {
  TransposeColumns<false>(x, to, rows, width, begin, end);
}

void AddTransposed(
    const float* x, float* sums, int64_t rows, int64_t width, int64_t begin, int64_t end) {
  TransposeColumns<true>(x, sums, rows, width, begin, end);
}

template <class T>
void AddToRows(const T* x,
               const int64_t* index,
               float* sums,
               int64_t rows,
               int64_t width,
               int64_t begin,
               int64_t end) {
  for (int64_t row = 0; row < rows; ++row) {
    float* to = sums + index[row] * width;
    for (int64_t c = begin; c < end; c += kLanes)
      Store(to + c, Load(to + c) + Load(x + row * width + c));
  }
}

template <class T>
void LayerNorm(const T* x,
               const float* weight,
               const float* bias,
               float eps,
               T* y,
               float* mean,
               float* rstd,
               int64_t width,
               int64_t begin,
               int64_t end) {
  const float share = 1.0F / static_cast<float>(width);
  for (int64_t row = begin; row < end; ++row) {
    const T* from = x + row * width;
    Vec sum{};
    for (int64_t c = 0; c < width; c += kLanes) sum += Load(from + c);
    const float m = Sum(sum) * share;
    Vec squares{};
    for (int64_t c = 0; c < width; c += kLanes) {
      const Vec d = Load(from + c) - m;
      squares += d * d;
    }
    const float r = 1.0F / __builtin_sqrtf(Sum(squares) * share + eps);
    for (int64_t c = 0; c < width; c += kLanes)
      Store(y + row * width + c, (Load(from + c) - m) * r * Load(weight + c) + Load(bias + c));
    mean[row] = m;
    rstd[row] = r;
  }
}

template <class T>
void LayerNormBackward(const T* x,
                       const float* weight,
                       const float* mean,
                       const float* rstd,
                       const T* gradient,
                       const T* residual,
                       T* x_gradient,
                       float* weight_gradient,
                       float* bias_gradient,
                       int64_t width,
                       int64_t begin,
                       int64_t end) {
  const float share = 1.0F / static_cast<float>(width);
  for (int64_t row = begin; row < end; ++row) {
    const T* from = x + row * width;
    const T* g_row = gradient + row * width;
    Vec sum{};
    Vec dot{};
    for (int64_t c = 0; c < width; c += kLanes) {
      const Vec g = Load(g_row + c);
      const Vec normed = (Load(from + c) - mean[row]) * rstd[row];
      Store(weight_gradient + c, Load(weight_gradient + c) + g * normed);
      Store(bias_gradient + c, Load(bias_gradient + c) + g);
      sum += g * Load(weight + c);
      dot += g * Load(weight + c) * normed;
    }
    const float mean_sum = Sum(sum) * share;
    const float mean_dot = Sum(dot) * share;
    for (int64_t c = 0; c < width; c += kLanes) {
      const Vec normed = (Load(from + c) - mean[row]) * rstd[row];
      Vec d = (Load(g_row + c) * Load(weight + c) - mean_sum - normed * mean_dot) * rstd[row];
      if (residual != nullptr) d += Load(residual + row * width + c);
      Store(x_gradient + row * width + c, d);
    }
  }
}

// out[row][0, D) = sum over k < depth of a[row][k] * b[k][0, D), rows of `a` `a_stride` apart, four
// rows at a time so that each load of b serves four. D is a multiple of kLanes.
template <int64_t kRows>
SWEEP_INLINE void SmallProductRows(const float* a,
                                   int64_t a_stride,
                                   int64_t a_step,
                                   const float* b,
                                   int64_t width,
                                   int64_t depth,
                                   float* out) {
  for (int64_t c = 0; c < width; c += kLanes) {
    Vec sums[kRows] = {};
    for (int64_t k = 0; k < depth; ++k) {
      const Vec from = Load(b + k * width + c);
      for (int64_t r = 0; r < kRows; ++r) sums[r] += a[r * a_stride + k * a_step] * from;
    }
    for (int64_t r = 0; r < kRows; ++r) Store(out + r * width + c, sums[r]);
  }
}

// `a_step` 1: rows of a; `a_stride` 1: columns of a (a transposed).
SWEEP_INLINE void SmallProduct(const float* a,
                               int64_t a_stride,
                               int64_t a_step,
                               const float* b,
                               int64_t rows,
                               int64_t width,
                               int64_t depth,
                               float* out) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4)
    SmallProductRows<4>(a + row * a_stride, a_stride, a_step, b, width, depth, out + row * width);
  for (; row < rows; ++row)
    SmallProductRows<1>(a + row * a_stride, a_stride, a_step, b, width, depth, out + row * width);
}

template <class T>
SWEEP_INLINE void CopyIn(const T* from, int64_t stride, int64_t rows, int64_t width, float* to) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < width; c += kLanes)
      Store(to + row * width + c, Load(from + row * stride + c));
  }
}

template <class T>
SWEEP_INLINE void CopyOut(const float* from, int64_t rows, int64_t width, T* to, int64_t stride) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < width; c += kLanes)
      Store(to + row * stride + c, Load(from + row * width + c));
  }
}

// rows x width to width x padded, zeros beyond `rows`.
SWEEP_INLINE void Transpose(
    const float* from, int64_t rows, int64_t width, int64_t padded, float* to) {
  for (int64_t c = 0; c < width; ++c) {
    for (int64_t row = 0; row < rows; ++row) to[c * padded + row] = from[row * width + c];
    for (int64_t row = rows; row < padded; ++row) to[c * padded + row] = 0;
  }
}

constexpr int64_t kBlock = kMostAttentionKeys * kMostHeadWidth;
constexpr int64_t kScores = kMostAttentionKeys * kMostAttentionKeys;

// One sample and head of a task: where its numbers are and how many.
struct Piece {
  int64_t column;  // of the head in a row
  int64_t queries, first_query;
  int64_t keys, first_key;  // rows
  int64_t padded;           // keys
  int64_t probability;      // its first
};

template <class T>
SWEEP_INLINE Piece PieceOf(const AttentionTask<T>& t, int64_t piece) {
  const int64_t sample = piece / t.heads;
  Piece p;
  p.column = piece % t.heads * t.head_width;
  p.keys = t.lengths != nullptr ? t.lengths[sample] : t.keys;
  p.first_key = t.starts[sample];
  p.padded = PaddedKeys(p.keys);
  const bool one = t.queries == 1;
  p.queries = one ? 1 : p.keys;
  p.first_query = one ? sample : p.first_key;
  p.probability = piece * t.queries * PaddedKeys(t.keys);
  return p;
}

// In place: scores of one query to probabilities, 0 for keys it does not see.
SWEEP_INLINE void Softmax(float* scores, int64_t visible, int64_t padded) {
  for (int64_t k = visible; k < padded; ++k) scores[k] = -1e30F;
  Vec most = Load(scores);
  for (int64_t k = kLanes; k < padded; k += kLanes) {
    const Vec s = Load(scores + k);
    most = Choose(s > most, s, most);
  }
  const float top = Max(most);
  Vec sum{};
  for (int64_t k = 0; k < padded; k += kLanes) {
    const Vec s = Load(scores + k);
    const Vec p = Choose(s > -1e29F, Exp(s - top), All(0));
    Store(scores + k, p);
    sum += p;
  }
  const float factor = 1.0F / Sum(sum);
  for (int64_t k = 0; k < padded; k += kLanes) Store(scores + k, Load(scores + k) * factor);
}

template <class T>
void Attention(const AttentionTask<T>& t, int64_t begin, int64_t end) {
  alignas(64) float query[kBlock];
  alignas(64) float key[kBlock];
  alignas(64) float transposed[kBlock];
  const int64_t width = t.head_width;
  const int64_t out_stride = t.heads * width;
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(width));
  for (int64_t piece = begin; piece < end; ++piece) {
    const Piece p = PieceOf(t, piece);
    const int64_t keys_at = p.first_key * t.key_stride + p.column;
    float* scores = t.probability + p.probability;
    CopyIn(t.query + p.first_query * t.query_stride + p.column,
           t.query_stride,
           p.queries,
           width,
           query);
    for (int64_t i = 0; i < p.queries * width; i += kLanes)
      Store(query + i, Load(query + i) * scale);
    CopyIn(t.key + keys_at, t.key_stride, p.keys, width, key);
    Transpose(key, p.keys, width, p.padded, transposed);
    SmallProduct(query, width, 1, transposed, p.queries, p.padded, width, scores);
    for (int64_t q = 0; q < p.queries; ++q)
      Softmax(scores + q * p.padded, t.causal ? q + 1 : p.keys, p.padded);
    CopyIn(t.value + keys_at, t.key_stride, p.keys, width, key);
    SmallProduct(scores, p.padded, 1, key, p.queries, width, p.keys, query);
    CopyOut(query, p.queries, width, t.output + p.first_query * out_stride + p.column, out_stride);
  }
}

template <class T>
void AttentionBackward(const AttentionGradientTask<T>& task, int64_t begin, int64_t end) {
  alignas(64) float query[kBlock];
  alignas(64) float key[kBlock];
  alignas(64) float gradient[kBlock];
  alignas(64) float buffer[kBlock];
  alignas(64) float g_scores[kScores];
  const AttentionTask<T>& t = task.forward;
  const int64_t width = t.head_width;
  const int64_t out_stride = t.heads * width;
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(width));
  for (int64_t piece = begin; piece < end; ++piece) {
    const Piece p = PieceOf(t, piece);
    const int64_t keys_at = p.first_key * t.key_stride + p.column;
    const float* probability = t.probability + p.probability;
    CopyIn(task.gradient + p.first_query * out_stride + p.column,
           out_stride,
           p.queries,
           width,
           gradient);
    // value' gradient = probability' @ gradient
    SmallProduct(probability, 1, p.padded, gradient, p.keys, width, p.queries, buffer);
    const int64_t key_gradient_at = p.first_key * task.key_gradient_stride + p.column;
    CopyOut(buffer, p.keys, width, task.value_gradient + key_gradient_at, task.key_gradient_stride);
    // scores' gradient = P * (gradient @ value' - rowsum(P * (gradient @ value'))) * scale
    CopyIn(t.value + keys_at, t.key_stride, p.keys, width, key);
    Transpose(key, p.keys, width, p.padded, buffer);
    SmallProduct(gradient, width, 1, buffer, p.queries, p.padded, width, g_scores);
    for (int64_t q = 0; q < p.queries; ++q) {
      float* row = g_scores + q * p.padded;
      const float* of_query = probability + q * p.padded;
      Vec dot{};
      for (int64_t k = 0; k < p.padded; k += kLanes) dot += Load(row + k) * Load(of_query + k);
      const float along = Sum(dot);
      for (int64_t k = 0; k < p.padded; k += kLanes)
        Store(row + k, (Load(row + k) - along) * Load(of_query + k) * scale);
    }
    CopyIn(t.key + keys_at, t.key_stride, p.keys, width, key);
    SmallProduct(g_scores, p.padded, 1, key, p.queries, width, p.keys, buffer);
    CopyOut(buffer,
            p.queries,
            width,
            task.query_gradient + p.first_query * task.query_gradient_stride + p.column,
            task.query_gradient_stride);
    CopyIn(t.query + p.first_query * t.query_stride + p.column,
           t.query_stride,
           p.queries,
           width,
           query);
    SmallProduct(g_scores, 1, p.padded, query, p.keys, width, p.queries, buffer);
    CopyOut(buffer, p.keys, width, task.key_gradient + key_gradient_at, task.key_gradient_stride);
  }
}

template <class T>
constexpr CpuKernels<T> kKernels = {Attention<T>,
                                    AttentionBackward<T>,
                                    BiasGelu<T>,
                                    GeluBackward<T>,
                                    BiasResidual<T>,
                                    ColumnSums<T>,
                                    Accumulate<T>,
                                    TransposeRows,
                                    AddTransposed,
                                    AddToRows<T>,
                                    LayerNorm<T>,
                                    LayerNormBackward<T>};

}  // namespace

const CpuKernels<float>& FloatKernels();
const CpuKernels<uint16_t>& Bfloat16Kernels();
const CpuKernels<float>& FloatKernels() {
  return kKernels<float>;
}
const CpuKernels<uint16_t>& Bfloat16Kernels() {
  return kKernels<uint16_t>;
}

}  // namespace sweep::SWEEP_KERNELS
