#pragma once

#include "trainer/training_run.h"

namespace sweep {

/// Makes every evaluation the attempt asks for that has no file yet, each from the stored
/// checkpoint it names, and publishes it. An evaluation whose checkpoint a diverged run never
/// reached is left out. Throws Failure(kData) when a checkpoint that must be there is not.
void EvaluateMissing(const AttemptContext& context);

}  // namespace sweep
