#include "trainer/training_data.h"

#include <utility>

namespace sweep {

TrainingData::TrainingData(const RunSpec& spec, DataLibrary& library)
    : context_length_(spec.model.text.context_length),
      source_(OpenPairSource(spec, library)),
      tokenizer_(library.OpenTokenizer(spec.tokenizer, spec.model.text)),
      order_(OpenSampleOrder(spec, library)),
      reducer_(spec, *tokenizer_, library) {}

void TrainingData::Start(BatchLoader::Options options) {
  options.context_length = context_length_;
  ahead_.reset();
  loader_.reset();  // one at a time holds batches
  loader_ = std::make_unique<BatchLoader>(*source_, *order_, reducer_, options);
  if (!transfer_) transfer_.emplace(options.device);
}

std::optional<DeviceBatch> TrainingData::Next() {
  if (!ahead_) {
    Batch batch;
    if (!loader_->Next(batch)) return std::nullopt;
    ahead_ = Send(batch);
  }
  transfer_->Join();
  return std::exchange(ahead_, std::nullopt);
}

void TrainingData::Prefetch() {
  Batch batch;
  if (!ahead_ && loader_->NextIfReady(batch)) ahead_ = Send(batch);
}

DeviceBatch TrainingData::Send(const Batch& batch) {
  DeviceBatch there{transfer_->Send(batch.images_BCSS), batch.tokens_BT};
  if (batch.kept_BK.defined()) there.kept_BK = transfer_->Send(batch.kept_BK);
  return there;
}

}  // namespace sweep
