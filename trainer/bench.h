#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/compute.h"

namespace sweep {

struct BenchOptions {
  std::string model_file;  ///< a model definition, or a file with `models`
  std::string model_name;  ///< which of `models`; empty for a single definition
  std::string precision = "fp32";
  std::string device = "auto";
  std::pair<int64_t, int64_t> text_tokens = {0, 0};  ///< least and most of a text; 0: all full
  int64_t batch_size = 128;
  int64_t threads = 1;
  int64_t micro_batch = 0;  ///< as in AttemptRequest
  std::string recompute = "none";
  int64_t processes = 1;
  std::string sharding = "none";
  int64_t bucket_bytes = kBucketBytes;  ///< more than the model has: nothing is summed meanwhile
  bool cuda_graphs = false;
  int64_t warmup_steps = 3;
  double seconds = 5;  ///< at least, of measured steps
};

/// Trains on one synthetic batch, without any data work, and prints one JSON
/// object: images_per_second (median step), the same per CPU second of all processes, FLOP/s of
/// what is computed (ComputedTrainFlopsPerSample) by all processes together, the most memory that
/// one process had at its peak, the share of the time that rank 0 waited for the others, and what
/// was measured. `argv` is this process's command line: it starts the others.
void RunBench(const BenchOptions& options, char* const* argv);

}  // namespace sweep
