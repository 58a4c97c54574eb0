#include "trainer/batch_loader.h"

#include <algorithm>

namespace sweep {
namespace {

// Samples that a thread takes at a time: few enough that all threads work on the next batch.
constexpr int64_t kPiece = 16;

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

void BatchLoader::Next(Batch& batch) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] {
    return !slots_.empty() && slots_.front().done == options_.batch_size;
  };
  changed_.wait(lock, [&] { return ready() || failure_; });
  if (!ready()) std::rethrow_exception(failure_);
  std::swap(batch, slots_.front().batch);
  spare_.push_back(std::move(slots_.front().batch));
  slots_.pop_front();
  lock.unlock();
  changed_.notify_all();
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
    if (!spare_.empty()) {
      slot.batch = std::move(spare_.back());
      spare_.pop_back();
    }
    const auto size = static_cast<size_t>(options_.batch_size);
    const auto side = static_cast<size_t>(source_.image_size());
    slot.batch.images_BCSS.resize(size * static_cast<size_t>(source_.channels()) * side * side);
    slot.batch.tokens_BT.resize(size * static_cast<size_t>(options_.context_length));
    slot.batch.kept_BK.resize(size * static_cast<size_t>(reducer_.kept_patches()));
    slot.first_sample = next_sample_;
    next_sample_ += options_.stride > 0 ? options_.stride : options_.batch_size;
  }
  Slot& slot = slots_.back();
  const int64_t begin = slot.taken;
  slot.taken = std::min(begin + kPiece, options_.batch_size);
  return {&slot, begin, slot.taken};
}

void BatchLoader::Fill(const Piece& piece) const {
  Batch& batch = piece.slot->batch;
  const auto context = static_cast<size_t>(options_.context_length);
  const auto side = static_cast<size_t>(source_.image_size());
  const size_t pixels = static_cast<size_t>(source_.channels()) * side * side;
  const auto kept = static_cast<size_t>(reducer_.kept_patches());
  for (int64_t b = piece.begin; b < piece.end; ++b) {
    const int64_t sample = piece.slot->first_sample + b;
    const auto at = static_cast<size_t>(b);
    if (sample + kOrderWindow < options_.end_sample)
      source_.Announce(order_.PairOf(sample + kOrderWindow));
    const std::string caption =
        source_.Load(order_.PairOf(sample),
                     order_.AugmentationOf(sample),
                     std::span(batch.images_BCSS).subspan(at * pixels, pixels));
    const auto tokens = std::span(batch.tokens_BT).subspan(at * context, context);
    (void)reducer_.Encode(sample, caption, tokens);
    if (kept > 0) reducer_.Patches(sample, std::span(batch.kept_BK).subspan(at * kept, kept));
  }
}

}  // namespace sweep
