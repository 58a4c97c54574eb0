#include "trainer/batch_loader.h"

#include <algorithm>

#include "trainer/random.h"

namespace sweep {

int64_t DataOrder::PairOf(int64_t sample) const {
  const auto epoch = static_cast<uint64_t>(sample / data_scale);
  const uint64_t key = MixBits(MixBits(static_cast<uint64_t>(seed)) ^ epoch);
  return ShuffledIndex(sample % data_scale, data_scale, key);
}

BatchLoader::BatchLoader(const PairSource& source,
                         const SampleReducer& reducer,
                         DataOrder order,
                         const Options& options)
    : source_(source), reducer_(reducer), order_(order), options_(options) {
  thread_ = std::thread([this] { Work(); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BatchLoader::Next(Batch& batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !ready_.empty() || failure_; });
  if (ready_.empty()) std::rethrow_exception(failure_);
  std::swap(batch, ready_.front());
  spare_.push_back(std::move(ready_.front()));
  ready_.pop_front();
  lock.unlock();
  changed_.notify_all();
}

void BatchLoader::Work() {
  try {
    for (int64_t first = options_.first_sample; first < options_.end_sample;
         first += options_.stride) {
      Batch batch;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stop_ || ready_.size() < options_.ahead; });
        if (stop_) return;
        if (!spare_.empty()) {
          batch = std::move(spare_.back());
          spare_.pop_back();
        }
      }
      Fill(first, batch);
      {
        const std::lock_guard lock(mutex_);
        ready_.push_back(std::move(batch));
      }
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

void BatchLoader::Fill(int64_t first_sample, Batch& batch) const {
  const auto size = static_cast<size_t>(options_.batch_size);
  const auto context = static_cast<size_t>(options_.context_length);
  const auto side = static_cast<size_t>(source_.image_size());
  const size_t pixels = static_cast<size_t>(source_.channels()) * side * side;
  batch.images_BCSS.resize(size * pixels);
  const auto kept = static_cast<size_t>(reducer_.kept_patches());
  batch.tokens_BT.resize(size * context);
  batch.kept_BK.resize(size * kept);
  batch.longest = 0;
  for (size_t b = 0; b < size; ++b) {
    const int64_t sample = first_sample + static_cast<int64_t>(b);
    const std::string caption = source_.Load(
        order_.PairOf(sample), std::span(batch.images_BCSS).subspan(b * pixels, pixels));
    const int64_t length =
        reducer_.Encode(sample, caption, std::span(batch.tokens_BT).subspan(b * context, context));
    batch.longest = std::max(batch.longest, length);
    if (kept > 0) reducer_.Patches(sample, std::span(batch.kept_BK).subspan(b * kept, kept));
  }
}

}  // namespace sweep
