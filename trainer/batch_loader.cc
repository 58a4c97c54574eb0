#include "trainer/batch_loader.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>

#include "trainer/transfer.h"

namespace sweep {
namespace {

// Samples that a thread takes at a time: few enough that all threads work on the next batch.
constexpr int64_t kPiece = 16;

constexpr std::chrono::milliseconds kBetweenQuestions(50);

template <class T>
std::span<T> Row(const at::Tensor& x, int64_t row) {
  const auto size = static_cast<size_t>(x.numel() / x.size(0));
  return {x.mutable_data_ptr<T>() + static_cast<size_t>(row) * size, size};
}

}  // namespace

BatchLoader::BatchLoader(const PairSource& source,
                         const SampleOrder& order,
                         const SampleReducer& reducer,
                         const Options& options)
    : source_(source),
      order_(order),
      reducer_(reducer),
      options_(options),
      next_sample_(options.first_sample) {
  for (int64_t i = 0; i < options.threads; ++i) threads_.emplace_back([this] { Work(); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool BatchLoader::Next(Batch& batch) {
  std::unique_lock lock(mutex_);
  if (!WaitUntil(lock, [this] { return Ready() || failure_; })) return false;
  if (!Ready()) std::rethrow_exception(failure_);
  Take(batch, lock);
  return true;
}

bool BatchLoader::NextIfReady(Batch& batch) {
  std::unique_lock lock(mutex_);
  if (!Ready()) return false;
  Take(batch, lock);
  return true;
}

bool BatchLoader::Ready() const {
  return !slots_.empty() && slots_.front().done == options_.batch_size;
}

void BatchLoader::Take(Batch& batch, std::unique_lock<std::mutex>& lock) {
  batch = std::move(slots_.front().batch);
  slots_.pop_front();
  lock.unlock();
  changed_.notify_all();
}

// False when whoever waits is to give up.
bool BatchLoader::WaitUntil(std::unique_lock<std::mutex>& lock,
                            const std::function<bool()>& ready) {
  if (!options_.give_up) {
    changed_.wait(lock, ready);
    return true;
  }
  const auto start = std::chrono::steady_clock::now();
  while (!changed_.wait_for(lock, kBetweenQuestions, ready)) {
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
    if (options_.give_up(waited.count())) return false;
  }
  return true;
}

void BatchLoader::Work() {
  std::unique_lock lock(mutex_);
  try {
    while (true) {
      changed_.wait(lock, [this] { return stop_ || failure_ || HasPiece(); });
      if (stop_ || failure_) return;
      const Piece piece = TakePiece();
      lock.unlock();
      Fill(piece);
      lock.lock();
      piece.slot->done += piece.end - piece.begin;
      if (piece.slot->done == options_.batch_size) changed_.notify_all();
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

bool BatchLoader::HasPiece() const {
  if (!slots_.empty() && slots_.back().taken < options_.batch_size) return true;
  return next_sample_ < options_.end_sample && slots_.size() < options_.ahead;
}

BatchLoader::Piece BatchLoader::TakePiece() {
  if (slots_.empty() || slots_.back().taken == options_.batch_size) {
    Slot& slot = slots_.emplace_back();
    slot.batch = NewBatch();
    slot.first_sample = next_sample_;
    next_sample_ += options_.stride > 0 ? options_.stride : options_.batch_size;
  }
  Slot& slot = slots_.back();
  const int64_t begin = slot.taken;
  slot.taken = std::min(begin + kPiece, options_.batch_size);
  return {&slot, begin, slot.taken};
}

// New memory each time: the last batches may still be on their way to a device.
Batch BatchLoader::NewBatch() const {
  const int64_t size = options_.batch_size;
  const int64_t side = source_.image_size();
  Batch batch;
  batch.images_BCSS =
      at::empty({size, source_.channels(), side, side}, HostMemory(options_.device, at::kByte));
  batch.tokens_BT = at::empty({size, options_.context_length}, at::kLong);
  if (reducer_.kept_patches() > 0) {
    batch.kept_BK =
        at::empty({size, reducer_.kept_patches()}, HostMemory(options_.device, at::kLong));
  }
  return batch;
}

void BatchLoader::Fill(const Piece& piece) const {
  Batch& batch = piece.slot->batch;
  for (int64_t b = piece.begin; b < piece.end; ++b) {
    const int64_t sample = piece.slot->first_sample + b;
    if (sample + kOrderWindow < options_.end_sample)
      source_.Announce(order_.PairOf(sample + kOrderWindow));
    const std::string caption = source_.Load(
        order_.PairOf(sample), order_.AugmentationOf(sample), Row<uint8_t>(batch.images_BCSS, b));
    (void)reducer_.Encode(sample, caption, Row<int64_t>(batch.tokens_BT, b));
    if (batch.kept_BK.defined()) reducer_.Patches(sample, Row<int64_t>(batch.kept_BK, b));
  }
}

}  // namespace sweep
