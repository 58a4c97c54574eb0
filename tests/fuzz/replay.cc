// A stand-in for libFuzzer that any compiler builds: reads every file of the folders as it is, then
// MUTATIONS damaged copies of them, the same ones each time.
//   PROGRAM MUTATIONS FOLDER...
// While it reads one, that lies in the working folder as `input`; after a finding it stays there.
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// What breaks parsers of JSON, CSV and numbers more often than a random byte.
const std::array<std::string, 14> kWords = {"-1",
                                            "0",
                                            "1e309",
                                            "-0.0",
                                            "99999999999999999999",
                                            "null",
                                            "true",
                                            "{}",
                                            "[",
                                            "\"",
                                            "\\u0000",
                                            ",",
                                            "\n",
                                            std::string(1, '\0')};

class Mutator {
 public:
  explicit Mutator(std::vector<std::string> seeds) : seeds_(std::move(seeds)) {}

  std::string Next() {
    std::string text = Any(seeds_);
    const size_t changes = 1 + Below(3);
    for (size_t i = 0; i < changes; ++i) Change(text);
    return text;
  }

 private:
  void Change(std::string& text) {
    const size_t at = Below(text.size() + 1);
    const size_t size = Below(std::min<size_t>(text.size() - at, 40) + 1);
    switch (Below(5)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << Below(8)));
        return;
      case 1:
        text.erase(at, size);
        return;
      case 2:
        text.insert(at, text.substr(at, size));
        return;
      case 3:
        text.replace(at, size, Any(kWords));
        return;
      default:
        text = text.substr(0, at) + Tail(Any(seeds_));
    }
  }

  std::string Tail(const std::string& text) { return text.substr(Below(text.size() + 1)); }
  template <class List>
  const std::string& Any(const List& list) {
    return list[Below(list.size())];
  }
  size_t Below(size_t limit) { return generator_() % limit; }

  std::vector<std::string> seeds_;
  std::mt19937_64 generator_{20220314};
};

// In the order of their names; folders inside are left out.
std::vector<std::string> ReadFiles(const std::vector<std::string>& folders) {
  std::vector<std::string> files;
  for (const std::string& folder : folders) {
    std::error_code absent;  // nothing was found yet
    std::set<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
      if (entry.is_regular_file()) paths.insert(entry.path());
    }
    for (const auto& path : paths) {
      std::ifstream in(path, std::ios::binary);
      files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  }
  return files;
}

// Cut afterwards, not before: some file systems write a file that was emptied to the disk at once.
void Keep(const std::string& input) {
  std::fstream("input", std::ios::in | std::ios::out | std::ios::binary) << input;
  std::filesystem::resize_file("input", input.size());
}

void Read(const std::string& input) {
  Keep(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::vector<std::string> seeds = ReadFiles({arguments.begin() + 1, arguments.end()});
  if (seeds.empty()) return 2;
  std::ofstream("input").close();
  for (const std::string& seed : seeds) Read(seed);
  Mutator mutator(seeds);
  for (int left = std::stoi(arguments[0]); left > 0; --left) Read(mutator.Next());
  std::filesystem::remove("input");
}
