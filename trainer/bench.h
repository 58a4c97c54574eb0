#pragma once

#include <cstdint>
#include <string>

namespace sweep {

struct BenchOptions {
  std::string model_file;  ///< a model definition, or a file with `models`
  std::string model_name;  ///< which of `models`; empty for a single definition
  std::string precision = "fp32";
  std::string device = "auto";
  int64_t batch_size = 128;
  int64_t threads = 1;
  int64_t warmup_steps = 3;
  double seconds = 5;  ///< at least, of measured steps
};

/// Trains on one synthetic batch of full-length texts, without any data work, and prints one JSON
/// object: images_per_second (median step), the same per CPU second, model FLOP/s, peak memory and
/// what was measured.
void RunBench(const BenchOptions& options);

}  // namespace sweep
