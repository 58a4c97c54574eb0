#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "core/files.h"

namespace sweep {
namespace {

// Which folders the files of a folder may include: docs/design.md has the reasons.
const std::map<std::string, std::set<std::string>> kMayUse = {
    {"core", {"core"}},
    {"db", {"core", "db"}},
    {"fit", {"core", "fit"}},
    {"trainer", {"core", "trainer"}},
    {"orchestrator", {"core", "db", "fit", "orchestrator"}},
};

std::vector<std::string> IncludedFiles(const std::string& source) {
  static const std::regex include("#include \"([^\"]+)\"");
  std::vector<std::string> files;
  for (std::sregex_iterator match(source.begin(), source.end(), include), end; match != end;
       ++match) {
    files.push_back((*match)[1]);
  }
  return files;
}

std::string FirstFolder(const std::string& path) {
  return path.substr(0, path.find('/'));
}

template <class Visit>
void ForEachSource(const std::string& folder, Visit visit) {
  const auto root = std::filesystem::path(SWEEP_SOURCE_DIR) / folder;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const auto extension = entry.path().extension();
    if (extension == ".h" || extension == ".cc" || extension == ".cu") visit(entry.path());
  }
}

}  // namespace

TEST_CASE("Every include follows the direction of the folders") {
  for (const auto& [folder, allowed] : kMayUse) {
    ForEachSource(folder, [&, &may_use = allowed](const std::filesystem::path& path) {
      for (const std::string& included : IncludedFiles(ReadFile(path))) {
        INFO(path.string() << " includes " << included);
        CHECK(may_use.contains(FirstFolder(included)));
      }
    });
  }
}

TEST_CASE("Only the folder that owns a library includes it") {
  const std::map<std::string, std::string> owners = {{"<SQLiteCpp/", "db"},
                                                     {"<sqlite3.h>", "db"},
                                                     {"<ceres/", "fit"},
                                                     {"<Eigen/", "fit"},
                                                     {"<torch/", "trainer"}};
  for (const auto& [folder, allowed] : kMayUse) {
    ForEachSource(folder, [&, &where = folder](const std::filesystem::path& path) {
      const std::string source = ReadFile(path);
      for (const auto& [library, owner] : owners) {
        INFO(path.string() << " includes " << library);
        CHECK((where == owner || source.find("#include " + library) == std::string::npos));
      }
    });
  }
}

}  // namespace sweep
