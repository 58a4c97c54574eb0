#include "trainer/data_file.h"

#include "core/failure.h"

namespace sweep {
namespace {

// Of a file that the user did not write, what is wrong with it is trouble with the data.
template <class Read>
auto AsData(const Read& read) {
  try {
    return read();
  } catch (const Failure& failure) {
    if (failure.code() != FailureCode::kUsage) throw;
    throw Failure(FailureCode::kData, failure.what());
  }
}

}  // namespace

FileReader OpenDataFile(const std::filesystem::path& path) {
  return AsData([&] { return FileReader(path); });
}

std::string ReadDataFile(const std::filesystem::path& path, int64_t limit) {
  return AsData([&] { return ReadFile(path, limit); });
}

}  // namespace sweep
