#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "trainer/batch_loader.h"
#include "trainer/learner.h"
#include "trainer/transfer.h"

namespace sweep {

/// What a run trains on: its pairs in their order, as batches on the device that trains.
class TrainingData {
 public:
  /// Opens it all. Throws as OpenPairSource and DataLibrary::OpenTokenizer do.
  TrainingData(const RunSpec& spec, DataLibrary& library);

  /// Goes on as `options` say; they need no context_length.
  void Start(BatchLoader::Options options);

  /// The next batch; it may still be on its way to the device. Nothing when the loader gave up.
  [[nodiscard]] std::optional<DeviceBatch> Next();

  /// Sends the batch that Next is to return on its way if it is ready: to be called while the
  /// device is at work.
  void Prefetch();

  /// As PairSource.
  [[nodiscard]] std::vector<UnusablePair> TakeUnusable() const { return source_->TakeUnusable(); }

 private:
  [[nodiscard]] DeviceBatch Send(const Batch& batch);

  int64_t context_length_;
  std::unique_ptr<PairSource> source_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<SampleOrder> order_;
  SampleReducer reducer_;
  std::unique_ptr<BatchLoader> loader_;
  std::optional<SideTransfer> transfer_;
  std::optional<DeviceBatch> ahead_;
};

}  // namespace sweep
