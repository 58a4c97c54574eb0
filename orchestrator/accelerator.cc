#include "orchestrator/accelerator.h"

#include <filesystem>
#include <fstream>

#include "orchestrator/data_files.h"

namespace sweep {
namespace {

struct AcceleratorFile {
  std::string source;
  std::map<std::string, Accelerator> accelerators;
};

template <class Visitor>
void VisitFields(Visitor& visit, AcceleratorFile& s) {
  visit("source", s.source);
  visit("accelerators", s.accelerators);
}

}  // namespace

double PeakFlopsOf(const Accelerator& accelerator, const std::string& precision) {
  const auto known = accelerator.peak_flops.find(precision);
  return known != accelerator.peak_flops.end() ? known->second : accelerator.peak_flops.at("fp32");
}

std::map<std::string, Accelerator> LoadAccelerators() {
  const std::string path = DataPath("accelerators.json").string();
  return FieldsFromJson<AcceleratorFile>(ReadJsonFile(path), path).accelerators;
}

std::vector<std::string> LocalGpus() {
  constexpr std::string_view kModel = "Model:";
  std::vector<std::string> names;
  std::error_code absent;
  for (const auto& gpu : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", absent)) {
    std::ifstream information(gpu.path() / "information");
    for (std::string line; std::getline(information, line);) {
      if (!line.starts_with(kModel)) continue;
      const size_t begin = line.find_first_not_of(" \t", kModel.size());
      if (begin != std::string::npos) names.push_back(line.substr(begin));
    }
  }
  return names;
}

}  // namespace sweep
