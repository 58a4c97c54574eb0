#pragma once

#include <cstdint>

namespace sweep {

/// The parts of a transformer block that are not matrix products, each in one pass over its data,
/// for a CPU. T is float or uint16_t, the bits of a bfloat16; arithmetic is fp32. Widths are
/// multiples of kLanes. A call works on a range [begin, end) of independent pieces, so callers
/// split the work among threads.
inline constexpr int64_t kLanes = 16;
/// The most keys and features a head that attention handles: what it keeps on the stack.
inline constexpr int64_t kMostAttentionKeys = 96;
inline constexpr int64_t kMostHeadWidth = 128;

/// softmax(q k' / sqrt(D)) v for each sample and head; rows of a sample follow one another. A
/// sample has as many queries as keys, or one. Strides are elements from row to row.
template <class T>
struct AttentionTask {
  int64_t heads = 0;
  int64_t queries = 0;     ///< of the longest sample
  int64_t keys = 0;        ///< of the longest sample
  int64_t head_width = 0;  ///< D
  const T* query = nullptr;
  int64_t query_stride = 0;
  const T* key = nullptr;
  const T* value = nullptr;
  int64_t key_stride = 0;            ///< of key and value
  bool causal = false;               ///< query i sees keys 0 to i
  const int64_t* starts = nullptr;   ///< first row of each sample's keys
  const int64_t* lengths = nullptr;  ///< its number of keys; null: `keys` each
  float* probability = nullptr;  ///< queries * PaddedKeys(keys) numbers a sample and head, of which
                                 ///< a sample's [query, PaddedKeys(its keys)] come first
  T* output = nullptr;           ///< rows of heads * D
};

template <class T>
struct AttentionGradientTask {
  AttentionTask<T> forward;     ///< as it was; output is not looked at
  const T* gradient = nullptr;  ///< of the output
  T* query_gradient = nullptr;
  int64_t query_gradient_stride = 0;
  T* key_gradient = nullptr;
  T* value_gradient = nullptr;
  int64_t key_gradient_stride = 0;
};

[[nodiscard]] constexpr int64_t PaddedKeys(int64_t keys) {
  return (keys + kLanes - 1) / kLanes * kLanes;
}

template <class T>
struct CpuKernels {
  /// Pieces are (sample, head).
  void (*attention)(const AttentionTask<T>& task, int64_t begin, int64_t end);
  void (*attention_backward)(const AttentionGradientTask<T>& task, int64_t begin, int64_t end);

  /// Rows of width `width`: hidden += bias (null: 0); activated = hidden * Phi(hidden) (exact GELU,
  /// erf to 1.5e-7).
  void (*bias_gelu)(
      T* hidden, const T* bias, T* activated, int64_t width, int64_t begin, int64_t end);
  /// gradient *= GELU'(hidden), and adds its column sums to `bias_gradient`.
  void (*gelu_backward)(const T* hidden,
                        T* gradient,
                        float* bias_gradient,
                        int64_t width,
                        int64_t begin,
                        int64_t end);
  /// x += bias + residual.
  void (*bias_residual)(
      T* x, const T* bias, const T* residual, int64_t width, int64_t begin, int64_t end);
  /// Adds the column sums of `x` to `sums`.
  void (*column_sums)(const T* x, float* sums, int64_t width, int64_t begin, int64_t end);
  /// sums += x.
  void (*accumulate)(const T* x, float* sums, int64_t width, int64_t begin, int64_t end);
  /// In fp32, whatever T is: to[c, r] = x[r, c] for all `rows` rows, columns [begin, end) alone,
  /// both multiples of kLanes.
  void (*transpose)(
      const float* x, float* to, int64_t rows, int64_t width, int64_t begin, int64_t end);
  /// sums[c, r] += x[r, c], likewise.
  void (*add_transposed)(
      const float* x, float* sums, int64_t rows, int64_t width, int64_t begin, int64_t end);
  /// sums[index[r]] += x[r] for each of `rows` rows in turn, columns [begin, end) alone.
  void (*add_to_rows)(const T* x,
                      const int64_t* index,
                      float* sums,
                      int64_t rows,
                      int64_t width,
                      int64_t begin,
                      int64_t end);

  /// y = (x - mean) * rstd * weight + bias; mean and rstd are kept, one a row.
  void (*layer_norm)(const T* x,
                     const float* weight,
                     const float* bias,
                     float eps,
                     T* y,
                     float* mean,
                     float* rstd,
                     int64_t width,
                     int64_t begin,
                     int64_t end);
  /// x_gradient = derivative + residual (null: 0); adds the parameters' gradients.
  void (*layer_norm_backward)(const T* x,
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
                              int64_t end);
};

/// The kernels built for this CPU: AVX-512, AVX2 with FMA, or plain x86-64.
template <class T>
[[nodiscard]] const CpuKernels<T>& KernelsForThisCpu();

}  // namespace sweep
