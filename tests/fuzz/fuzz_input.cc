#include <cstdint>

#include "core/failure.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    sweep::Read({reinterpret_cast<const char*>(data), size});
  } catch (const sweep::Failure& failure) {
    if (failure.code() == sweep::FailureCode::kInternal) throw;
  }
  return 0;
}
