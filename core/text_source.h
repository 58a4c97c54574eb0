#pragma once

#include <functional>
#include <string_view>

namespace sweep {

/// Takes a text piece by piece.
using TextSink = std::function<void(std::string_view)>;

/// Gives a text piece by piece, from its beginning each time it is asked: one that is too long to
/// be held as a whole.
using TextSource = std::function<void(const TextSink&)>;

}  // namespace sweep
