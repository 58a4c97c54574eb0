#pragma once

#include "fit/law.h"

namespace sweep {

/// The laws, one a file of this folder; FindLaw and Laws (fit/law.h) are how the rest reaches them.
Law PowerLaw();
Law PowerFloorLaw();
Law PowerOffsetLaw();
Law ChinchillaLaw();
Law KaplanLaw();
Law DataConstrainedLaw();
Law JointBatchLaw();
Law InverseTokensLaw();
Law Bnsl1Law();
Law Bnsl2Law();
Law Bnsl3Law();
Law M4Law();
Law SigmoidLaw();

}  // namespace sweep
