#include "trainer/metrics.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <set>
#include <vector>

namespace sweep {
namespace {

constexpr std::array<int64_t, 3> kRecallAt = {1, 5, 10};

// How many of the `count` scores, `stride` apart, come before number `index`.
int64_t RankOf(const float* scores, int64_t count, int64_t stride, int64_t index) {
  const float own = scores[index * stride];
  int64_t before = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float other = scores[i * stride];
    before += static_cast<int64_t>(other > own) | static_cast<int64_t>(other == own && i < index);
  }
  return before;
}

double ShareBelow(const std::vector<int64_t>& ranks, int64_t k) {
  const auto hits = std::count_if(ranks.begin(), ranks.end(), [k](int64_t r) { return r < k; });
  return static_cast<double>(hits) / static_cast<double>(ranks.size());
}

double MeanPerClassRecall(const std::vector<int64_t>& ranks,
                          std::span<const int64_t> labels,
                          int64_t classes) {
  std::vector<int64_t> hits(static_cast<size_t>(classes));
  std::vector<int64_t> images(static_cast<size_t>(classes));
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<size_t>(labels[i]);
    ++images[label];
    if (ranks[i] == 0) ++hits[label];
  }
  double sum = 0;
  int64_t occurring = 0;
  for (size_t c = 0; c < images.size(); ++c) {
    if (images[c] == 0) continue;
    sum += static_cast<double>(hits[c]) / static_cast<double>(images[c]);
    ++occurring;
  }
  return sum / static_cast<double>(occurring);
}

// Mean, over the images of class `label`, of the share of that class among all images with at least
// their score for it.
double AveragePrecision(std::span<const float> logits,
                        std::span<const int64_t> labels,
                        int64_t classes,
                        int64_t label) {
  std::vector<size_t> order(labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto score = [&](size_t i) {
    return logits[i * static_cast<size_t>(classes) + static_cast<size_t>(label)];
  };
  std::ranges::stable_sort(order, std::greater<>(), score);
  double sum = 0;
  double found = 0;
  for (size_t place = 0; place < order.size(); ++place) {
    if (labels[order[place]] != label) continue;
    ++found;
    sum += found / static_cast<double>(place + 1);
  }
  return sum / found;
}

double MeanAveragePrecision(std::span<const float> logits,
                            std::span<const int64_t> labels,
                            int64_t classes) {
  const std::set<int64_t> occurring(labels.begin(), labels.end());
  double sum = 0;
  for (const int64_t label : occurring) sum += AveragePrecision(logits, labels, classes, label);
  return sum / static_cast<double>(occurring.size());
}

void AddRecalls(const std::string& name, const std::vector<int64_t>& ranks, Metrics& metrics) {
  for (const int64_t k : kRecallAt) {
    metrics[name + "_recall@" + std::to_string(k)] = {ShareBelow(ranks, k),
                                                      static_cast<int64_t>(ranks.size())};
  }
}

}  // namespace

Metrics ClassificationMetrics(std::span<const float> logits,
                              std::span<const int64_t> labels,
                              int64_t classes) {
  const auto images = static_cast<int64_t>(labels.size());
  std::vector<int64_t> ranks;
  for (int64_t i = 0; i < images; ++i) {
    ranks.push_back(
        RankOf(logits.data() + i * classes, classes, 1, labels[static_cast<size_t>(i)]));
  }
  return {{"acc1", {ShareBelow(ranks, 1), images}},
          {"acc5", {ShareBelow(ranks, 5), images}},
          {"mean_per_class_recall", {MeanPerClassRecall(ranks, labels, classes), images}},
          {"mean_average_precision", {MeanAveragePrecision(logits, labels, classes), images}}};
}

Metrics RetrievalMetrics(std::span<const float> similarity,
                         int64_t images,
                         int64_t captions_per_image) {
  const int64_t captions = images * captions_per_image;
  std::vector<int64_t> image_ranks;
  std::vector<int64_t> best_text_ranks(static_cast<size_t>(images), captions);
  for (int64_t c = 0; c < captions; ++c) {
    const int64_t image = c / captions_per_image;
    image_ranks.push_back(RankOf(similarity.data() + c * images, images, 1, image));
    int64_t& best = best_text_ranks[static_cast<size_t>(image)];
    best = std::min(best, RankOf(similarity.data() + image, captions, images, c));
  }
  Metrics metrics;
  AddRecalls("image_retrieval", image_ranks, metrics);
  AddRecalls("text_retrieval", best_text_ranks, metrics);
  return metrics;
}

}  // namespace sweep
