#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "core/run_directory.h"

namespace sweep {

using Metrics = std::map<std::string, MetricValue>;

/// acc1 and acc5 (share of images whose class is among the 1 or 5 highest logits),
/// mean_per_class_recall (mean over the classes that occur of the share of their images with the
/// highest logit there; also called balanced accuracy) and mean_average_precision (over the same
/// classes, each against the rest: CLIP_benchmark's average precision, the mean of the precisions
/// at its images by rank, without interpolation). `logits` is [image][class], `labels` [image].
/// Among equal logits the class or image with the smaller number comes first.
[[nodiscard]] Metrics ClassificationMetrics(std::span<const float> logits,
                                            std::span<const int64_t> labels,
                                            int64_t classes);

/// CLIP_benchmark's recalls at 1, 5 and 10. image_retrieval_recall@k: share of captions whose image
/// is among the k most similar images. text_retrieval_recall@k: share of images that have at least
/// one of their captions among the k most similar captions. `similarity` is [caption][image], and
/// caption c belongs to image c / captions_per_image. Among equals the smaller number comes first.
[[nodiscard]] Metrics RetrievalMetrics(std::span<const float> similarity,
                                       int64_t images,
                                       int64_t captions_per_image);

}  // namespace sweep
