#pragma once

#include <string>

namespace sweep {

/// The function `entry` of a library that lies beside this program, which links nothing of CUDA and
/// loads what does where it is needed; null where that cannot be had.
[[nodiscard]] void* AddressBeside(const char* library, const char* entry);

template <class Entry>
[[nodiscard]] Entry EntryBeside(const char* library, const char* entry) {
  return reinterpret_cast<Entry>(AddressBeside(library, entry));
}

/// Why the last one was null.
[[nodiscard]] std::string WhyNotBeside();

}  // namespace sweep
