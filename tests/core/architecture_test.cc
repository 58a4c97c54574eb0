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

TEST_CASE("No two headers of one program define a type of the same name") {
  // All live in one namespace: a second definition links without a word and corrupts memory when it
  // runs.
  static const std::regex definition("\n(?:class|struct|enum class) (\\w+)(?: : [^;\n]*)? \\{");
  for (const std::set<std::string>& program : {kMayUse.at("orchestrator"), kMayUse.at("trainer")}) {
    std::map<std::string, std::string> defined_in;
    for (const std::string& folder : program) {
      ForEachSource(folder, [&](const std::filesystem::path& path) {
        if (path.extension() != ".h") return;
        const std::string source = ReadFile(path);
        for (std::sregex_iterator match(source.begin(), source.end(), definition), end;
             match != end;
             ++match) {
          const auto [first, is_new] = defined_in.emplace((*match)[1], path.string());
          INFO((*match)[1] << " is defined in " << first->second << " and " << path.string());
          CHECK(is_new);
        }
      });
    }
  }
}

}  // namespace sweep
