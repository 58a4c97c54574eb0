#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/evaluation_spec.h"
#include "trainer/data_library.h"

namespace sweep {

/// Images of an evaluation, bytes [image][channel][row][column].
struct EvaluationImages {
  std::vector<uint8_t> pixels;
  int64_t count = 0;
  int64_t channels = 0;
  int64_t image_size = 0;
};

struct ClassificationData {
  EvaluationImages images;
  std::vector<int64_t> labels;                    ///< one an image
  std::vector<std::vector<std::string>> prompts;  ///< [class][template], filled in
};

struct RetrievalData {
  EvaluationImages images;
  std::vector<std::string> captions;  ///< caption c belongs to image c / captions_per_image
  int64_t captions_per_image = 0;
};

/// Make an evaluation's data from its spec for a model that reads images of `image_size` pixels.
/// Throw Failure(kUsage) for options or sizes that cannot be, Failure(kData) when the files are
/// missing or others.
[[nodiscard]] ClassificationData OpenClassification(const EvaluationSpec& spec,
                                                    int64_t image_size,
                                                    DataLibrary& library);
[[nodiscard]] RetrievalData OpenRetrieval(const EvaluationSpec& spec,
                                          int64_t image_size,
                                          DataLibrary& library);

}  // namespace sweep
