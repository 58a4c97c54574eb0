#pragma once

#include <filesystem>
#include <optional>

#include "trainer/parameter_store.h"

namespace sweep {

/// Fills the parameters, or those of one tower, from a safetensors file of another model: a parent
/// run's, open_clip's, or a tower's alone. Names may carry the prefixes `module.` (of data
/// parallelism) and `text.` (open_clip's models with a text tower of their own). What differs in
/// size is resized as open_clip does: the grid of image positions bicubic with antialiasing, text
/// positions linear; patch kernels bicubic (EVA-CLIP). With a tower alone, its projection may be
/// missing or of another size and keeps its first values; likewise a missing logit_bias. Throws
/// Failure(kData) for any other tensor that is missing, of another shape, not finite, there twice, or
/// not of the model.
void LoadStartingWeights(const std::filesystem::path& path,
                         std::optional<Tower> tower,
                         ParameterStore& parameters);

}  // namespace sweep
