#include "trainer/training_data.h"

#include "trainer/transfer.h"

namespace sweep {

TrainingData::TrainingData(const RunSpec& spec, DataLibrary& library)
    : context_length_(spec.model.text.context_length),
      source_(OpenPairSource(spec, library)),
      tokenizer_(library.OpenTokenizer(spec.tokenizer, spec.model.text)),
      order_(OpenSampleOrder(spec, library)),
      reducer_(spec, *tokenizer_, library) {}

void TrainingData::Start(BatchLoader::Options options) {
  options.context_length = context_length_;
  device_ = options.device;
  loader_.reset();  // one at a time holds batches
  loader_ = std::make_unique<BatchLoader>(*source_, *order_, reducer_, options);
}

std::optional<DeviceBatch> TrainingData::Next() {
  Batch batch;
  if (!loader_->Next(batch)) return std::nullopt;
  DeviceBatch there{Send(batch.images_BCSS, device_), batch.tokens_BT};
  if (batch.kept_BK.defined()) there.kept_BK = Send(batch.kept_BK, device_);
  return there;
}

}  // namespace sweep
