#pragma once

#include <string_view>

namespace sweep {

/// What each fuzz program defines: reads any bytes. It may throw Failure of a code that is about
/// its input; anything else (another exception, a sanitizer's finding, an abort) is a finding.
void Read(std::string_view text);

}  // namespace sweep
