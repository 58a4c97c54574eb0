#include "trainer/library_beside.h"

#include <dlfcn.h>

#include <filesystem>

namespace sweep {
namespace {

std::string& Why() {
  static std::string why;
  return why;
}

}  // namespace

void* AddressBeside(const char* library, const char* entry) {
  std::error_code unreadable;
  const auto file =
      std::filesystem::read_symlink("/proc/self/exe", unreadable).parent_path() / library;
  void* const loaded = ::dlopen(file.c_str(), RTLD_NOW);
  void* const address = loaded == nullptr ? nullptr : ::dlsym(loaded, entry);
  const char* const problem = ::dlerror();
  if (address == nullptr) Why() = problem != nullptr ? problem : "unknown";
  return address;
}

std::string WhyNotBeside() {
  return Why();
}

}  // namespace sweep
