#include "orchestrator/accelerator.h"

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

}  // namespace sweep
