#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "trainer/pair_source.h"
#include "trainer/token_reduction.h"

namespace sweep {

/// One step's pairs in the host's memory. B pairs, C channels, S image side, T tokens.
struct Batch {
  at::Tensor images_BCSS;  ///< bytes
  at::Tensor tokens_BT;    ///< int64
  at::Tensor kept_BK;      ///< int64, patches that stay, K an image; undefined: all
};

/// Makes the batches of a run ahead of time, in threads of its own. What a batch holds does not
/// depend on how many they are.
class BatchLoader {
 public:
  struct Options {
    int64_t batch_size = 0;
    int64_t context_length = 0;
    int64_t first_sample = 0;      ///< where the data continues
    int64_t end_sample = 0;        ///< where it ends; whole batches from first_sample on
    int64_t threads = 1;           ///< that read and decode
    size_t ahead = 2;              ///< batches to keep ready
    int64_t stride = 0;            ///< from one batch's first sample to the next's, where several
                                   ///< processes share every batch; 0: batch_size
    at::Device device = at::kCPU;  ///< where images and kept patches go: memory is made for that
    /// Asked now and then, with the seconds that Next has waited, whether it is to wait no longer.
    std::function<bool(double)> give_up = {};
  };

  /// `source`, `order` and `reducer` must outlive it.
  BatchLoader(const PairSource& source,
              const SampleOrder& order,
              const SampleReducer& reducer,
              const Options& options);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  /// Puts the next batch into `batch`. Blocks until one is ready; rethrows what a thread met. False
  /// when it gave up. There must be one left.
  bool Next(Batch& batch);

  /// The same where that needs no waiting; else false.
  bool NextIfReady(Batch& batch);

 private:
  // A batch in the making: threads take pieces of it in turn.
  struct Slot {
    Batch batch;
    int64_t first_sample = 0;
    int64_t taken = 0;  // samples that a thread has or had
    int64_t done = 0;   // samples that are there
  };
  struct Piece {
    Slot* slot = nullptr;
    int64_t begin = 0, end = 0;  // places in the batch
  };

  void Work();
  [[nodiscard]] bool Ready() const;
  void Take(Batch& batch, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool WaitUntil(std::unique_lock<std::mutex>& lock,
                               const std::function<bool()>& ready);
  [[nodiscard]] Batch NewBatch() const;
  [[nodiscard]] bool HasPiece() const;
  Piece TakePiece();
  void Fill(const Piece& piece) const;  // its places in the batch

  const PairSource& source_;
  const SampleOrder& order_;
  const SampleReducer& reducer_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Slot> slots_;  // in the batches' order
  int64_t next_sample_;     // of the next slot
  std::exception_ptr failure_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sweep
