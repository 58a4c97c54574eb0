#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "trainer/pair_source.h"
#include "trainer/token_reduction.h"

namespace sweep {

/// One step's pairs, as they lie in memory. B pairs, C channels, S image side, T tokens.
struct Batch {
  std::vector<uint8_t> images_BCSS;
  std::vector<int64_t> tokens_BT;
  std::vector<int64_t> kept_BK;  ///< patches that stay, K an image; empty: all
  int64_t longest = 0;           ///< tokens of the longest caption, padding left out
};

/// Which pair each sample of a run is: the first data_scale pairs, in an order reshuffled each
/// epoch by the run's seed. A function of the sample's number alone.
struct DataOrder {
  int64_t data_scale = 0;
  int64_t seed = 0;
  [[nodiscard]] int64_t PairOf(int64_t sample) const;
};

/// Makes the batches of a run ahead of time in a thread of its own.
class BatchLoader {
 public:
  struct Options {
    int64_t batch_size = 0;
    int64_t stride = 0;  ///< samples from one batch to the next: those of all processes
    int64_t context_length = 0;
    int64_t first_sample = 0;  ///< where the data continues
    int64_t end_sample = 0;    ///< where it ends
    size_t ahead = 2;          ///< batches to keep ready
  };

  /// `source` and `reducer` must outlive it.
  BatchLoader(const PairSource& source,
              const SampleReducer& reducer,
              DataOrder order,
              const Options& options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  /// Swaps the next batch into `batch` and takes its memory back for reuse. Blocks until one is
  /// ready; rethrows what the thread met. There must be one left.
  void Next(Batch& batch);

 private:
  void Work();
  void Fill(int64_t first_sample, Batch& batch) const;

  const PairSource& source_;
  const SampleReducer& reducer_;
  const DataOrder order_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::vector<Batch> spare_;
  std::exception_ptr failure_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace sweep
