#include "trainer/fashion_mnist.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "core/failure.h"
#include "core/gzip_file.h"
#include "core/hash.h"

namespace sweep {
namespace {

constexpr std::array<const char*, 4> kFiles = {"train-images-idx3-ubyte",
                                               "train-labels-idx1-ubyte",
                                               "t10k-images-idx3-ubyte",
                                               "t10k-labels-idx1-ubyte"};
constexpr int64_t kMostBytes = int64_t{64} << 20;  // of a file; the largest has 47 million
constexpr size_t kIdDigits = 32;
constexpr size_t kPixels = FashionItems::kSide * FashionItems::kSide;

[[noreturn]] void Fail(const std::string& what) {
  throw Failure(FailureCode::kData,
                what + "; install the data with: apt-get install dataset-fashion-mnist");
}

std::string ReadMaybeCompressed(const std::filesystem::path& folder, const char* name) {
  std::filesystem::path path = folder / (std::string(name) + ".gz");
  if (!std::filesystem::exists(path)) path = folder / name;
  try {
    return ReadGzipOrPlainFile(path, kMostBytes);
  } catch (const Failure& failure) {
    Fail(failure.what());
  }
}

uint32_t BigEndian32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = (value << 8U) | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// An IDX file: magic with the number of dimensions in its last byte, each dimension, the bytes.
std::vector<uint8_t> Body(const std::string& file, size_t dimensions, size_t item_size) {
  const size_t header = 4 + 4 * dimensions;
  if (file.size() < header || BigEndian32(file, 0) != 0x800 + dimensions ||
      file.size() != header + BigEndian32(file, 4) * item_size) {
    Fail("a Fashion-MNIST file is not in IDX format");
  }
  return {file.begin() + static_cast<std::ptrdiff_t>(header), file.end()};
}

FashionItems Part(const std::string& images, const std::string& labels) {
  return FashionItems{Body(images, 3, kPixels), Body(labels, 1, 1)};
}

}  // namespace

FashionMnist LoadFashionMnist(const std::filesystem::path& folder, const std::string& content) {
  std::array<std::string, kFiles.size()> files;
  std::string hashes;
  for (size_t i = 0; i < kFiles.size(); ++i) {
    files[i] = ReadMaybeCompressed(folder, kFiles[i]);
    hashes += Sha256Hex(files[i]);
  }
  const std::string found = Sha256Hex(hashes).substr(0, kIdDigits);
  if (found != content) {
    Fail(fmt::format("{}: content id is {}, expected {}", folder.string(), found, content));
  }
  return FashionMnist{Part(files[0], files[1]), Part(files[2], files[3])};
}

}  // namespace sweep
