#pragma once

#include "fit/law.h"

namespace sweep {

/// The laws, one a file of this folder; FindLaw and Laws (fit/law.h) are how the rest reaches them.
Law PowerLaw();
Law PowerFloorLaw();

}  // namespace sweep
