#include "core/provenance.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

namespace sweep {
namespace internal {
extern const char* const kBuildCommit;
extern const bool kBuildDirty;
}  // namespace internal

namespace {

// The rest of the first line of `path` that begins with `name`, after `separator`; empty without
// one.
std::string LineOf(const char* path, std::string_view name, char separator) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const size_t at = line.find(separator, name.size());
    const size_t begin = line.find_first_not_of(" \t", at == std::string::npos ? at : at + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

bool Matters(std::string_view variable) {
  return variable.starts_with("SLURM_") || variable.starts_with("CUDA_VISIBLE_DEVICES=") ||
         variable.starts_with("OMP_NUM_THREADS=") || variable.starts_with("MKL_NUM_THREADS=");
}

Json Environment() {
  Json environment = Json::object();
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    const size_t equals = variable.find('=');
    if (Matters(variable) && equals != std::string_view::npos)
      environment[std::string(variable.substr(0, equals))] = variable.substr(equals + 1);
  }
  return environment;
}

}  // namespace

Json BuildProvenance() {
  return {{"commit", internal::kBuildCommit},
          {"dirty", internal::kBuildDirty},
          {"type", SWEEP_BUILD_TYPE},
          {"compiler", __VERSION__}};
}

Json MachineProvenance() {
  struct utsname name{};
  const bool known = ::uname(&name) == 0;
  return {{"cpu", LineOf("/proc/cpuinfo", "model name", ':')},
          {"kernel", known ? name.release : ""},
          {"gpu_driver", LineOf("/proc/driver/nvidia/version", "NVRM version", ':')},
          {"environment", Environment()}};
}

Json CommandLine() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  Json words = Json::array();
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\0', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

}  // namespace sweep
