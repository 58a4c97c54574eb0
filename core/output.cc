#include "core/output.h"

#include <cerrno>
#include <cstring>

#include "core/failure.h"
#include "core/files.h"

namespace sweep {
namespace {

[[noreturn]] void ThrowOutputError(int error) {
  if (error == EPIPE) throw Failure(FailureCode::kOutputClosed, "stdout: nobody reads it");
  ThrowFileError("cannot write to", "stdout", error);
}

}  // namespace

void PrintText(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) ThrowOutputError(errno);
}

void FinishOutput() {
  if (std::fflush(stdout) != 0) ThrowOutputError(errno);
}

void TellText(std::string_view text, std::FILE* stream) noexcept {
  (void)std::fwrite(text.data(), 1, text.size(), stream);
  (void)std::fflush(stream);
}

}  // namespace sweep
