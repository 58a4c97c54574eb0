#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "core/hash.h"
#include "core/run_directory.h"
#include "trainer/random.h"

namespace sweep {

/// A stand-in for the data package: 200 train and 50 test images of noise whose brightness tells
/// the class, as uncompressed IDX files.
class SmallFashionData {
 public:
  explicit SmallFashionData(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    std::string hashes;
    hashes += Write("train-images-idx3-ubyte", Images(kTrain, 1));
    hashes += Write("train-labels-idx1-ubyte", Labels(kTrain));
    hashes += Write("t10k-images-idx3-ubyte", Images(kTest, 2));
    hashes += Write("t10k-labels-idx1-ubyte", Labels(kTest));
    content_ = Sha256Hex(hashes).substr(0, 32);
  }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const std::string& content() const { return content_; }

 private:
  static constexpr size_t kTrain = 200;
  static constexpr size_t kTest = 50;

  static std::string BigEndian(size_t value) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8)
      text += static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xFFU);
    return text;
  }
  static std::string Labels(size_t count) {
    std::string text = BigEndian(0x801) + BigEndian(count);
    for (size_t i = 0; i < count; ++i) text += static_cast<char>(i % 10);
    return text;
  }
  static std::string Images(size_t count, int seed) {
    std::string text = BigEndian(0x803) + BigEndian(count) + BigEndian(28) + BigEndian(28);
    Random random(seed);
    for (size_t i = 0; i < count; ++i) {
      for (int p = 0; p < 28 * 28; ++p)
        text += static_cast<char>(20 * (i % 10) + static_cast<size_t>(random.Below(60)));
    }
    return text;
  }
  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return Sha256Hex(bytes);
  }

  std::filesystem::path folder_;
  std::string content_;
};

inline std::filesystem::path SceneVocabulary() {
  return std::filesystem::path(SWEEP_SOURCE_DIR) / "sweeps/vocabularies/fashion_scenes.json";
}

}  // namespace sweep
