#pragma once

#include <memory>

#include "core/run_spec.h"
#include "trainer/pair_source.h"
#include "trainer/sample_order.h"
#include "trainer/shard_set.h"

namespace sweep {

/// Training pairs of the data kind `webdataset` and their order. Throw Failure(kUsage) for options
/// that do not fit the set, Failure(kData) when it has samples without a caption.
[[nodiscard]] std::unique_ptr<PairSource> OpenShardPairs(const RunSpec& spec,
                                                         std::shared_ptr<const ShardSet> set);
[[nodiscard]] std::unique_ptr<SampleOrder> OpenShardOrder(const RunSpec& spec, const ShardSet& set);

}  // namespace sweep
