// Files that others made: weights, archives, indexes, tables. What is wrong with one is named, and
// nothing that it says makes the program wait, or take more memory than its size explains.
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/csv.h"
#include "core/failure.h"
#include "core/gzip_file.h"
#include "core/hash.h"
#include "core/json_fields.h"
#include "core/vocabulary.h"
#include "tests/support/temporary_directory.h"
#include "tests/trainer/golden.h"
#include "tests/trainer/shard_files.h"
#include "trainer/fashion_mnist.h"
#include "trainer/image.h"
#include "trainer/make_shards.h"
#include "trainer/shard_set.h"
#include "trainer/starting_weights.h"
#include "trainer/weights.h"

namespace sweep {
namespace {

std::string Safetensors(const std::string& header, const std::string& data) {
  std::string content(8, '\0');
  const uint64_t size = header.size();
  std::memcpy(content.data(), &size, sizeof size);
  return content + header + data;
}

std::string Entry(const std::string& name, const std::string& shape, const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}";
}

// What is said of a safetensors file; empty where it is taken.
std::string ComplaintOf(const std::string& content) {
  try {
    (void)ParseSafetensors(content, "w.safetensors");
  } catch (const Failure& failure) {
    CHECK(failure.code() == FailureCode::kData);
    CHECK_THAT(failure.what(), Catch::StartsWith("w.safetensors: "));
    return failure.what();
  }
  return "";
}

fs::path MakePipe(const fs::path& path) {
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  return path;
}

// Our test model's weights with one value of one tensor replaced.
template <class Value>
fs::path WeightsWith(const fs::path& folder, const std::string& dtype, Value value) {
  const SafetensorsFile original(GoldenFolder() / "model_gelu.safetensors");
  std::vector<SafeTensor> tensors;
  std::string bytes;
  for (const auto& [name, tensor] : original.tensors()) {
    tensors.push_back(tensor);
    if (name != "logit_scale") continue;
    bytes.assign(reinterpret_cast<const char*>(&value), sizeof value);
    tensors.back() = {name, dtype, tensor.shape, bytes};
  }
  const fs::path path = folder / "weights.safetensors";
  WriteSafetensors(path, tensors);
  return path;
}

// The file's tensors with one of another shape, all zero.
fs::path WeightsWithShape(const fs::path& folder,
                          const std::string& changed,
                          const std::vector<int64_t>& shape) {
  const SafetensorsFile original(GoldenFolder() / "model_gelu.safetensors");
  std::vector<SafeTensor> tensors;
  size_t values = 1;
  for (const int64_t length : shape) values *= static_cast<size_t>(length);
  const std::string zeros(4 * values, '\0');
  for (const auto& [name, tensor] : original.tensors())
    tensors.push_back(name == changed ? SafeTensor{name, "F32", shape, zeros} : tensor);
  const fs::path path = folder / "shape.safetensors";
  WriteSafetensors(path, tensors);
  return path;
}

ParameterStore GoldenStore() {
  return {ListParameters(GoldenSpec(false).model), at::kCPU, at::kFloat};
}

// A set of two samples, indexed.
class TwoSamples {
 public:
  TwoSamples() {
    std::string archive;
    for (const std::string key : {"a", "b"}) {
      AppendTarMember(key + ".jpg", PictureFile(), archive);
      AppendTarMember(key + ".txt", "caption " + key, archive);
    }
    AppendTarEnd(archive);
    WriteFileAtomic(folder_.path() / "s.tar", archive);
    content = ContentIdOf(IndexShards({{(folder_.path() / "s.tar").string()}, index(), {}, {}},
                                      [](const std::string&) {}));
  }
  [[nodiscard]] fs::path index() const { return folder_.path() / "index"; }
  [[nodiscard]] fs::path json() const { return index() / kShardIndexFile; }
  [[nodiscard]] fs::path samples() const { return index() / kShardSamplesFile; }
  [[nodiscard]] ShardSet Open() const { return {index(), content}; }

 private:
  TemporaryDirectory folder_;

 public:
  std::string content;
};

}  // namespace

TEST_CASE(
    "Tensors of a safetensors file lie one after the other, from the first byte to the last") {
  const std::string a = Entry("a", "[1]", "[0,4]");
  CHECK(ComplaintOf(Safetensors("{" + a + "," + Entry("b", "[1]", "[4,8]") + "}", "01234567"))
            .empty());
  CHECK(ComplaintOf(Safetensors("{" + Entry("b", "[1]", "[4,8]") + "," + a + "}", "01234567"))
            .empty());
  CHECK(ComplaintOf(Safetensors("{" + Entry("none", "[0,3]", "[0,0]") + "," + a + "}", "0123"))
            .empty());
  const std::vector<std::string> wrong = {
      "{" + a + "," + Entry("b", "[1]", "[0,4]") + "}",  // the same bytes
      "{" + a + "," + Entry("b", "[1]", "[2,6]") + "}",  // overlapping
      "{" + a + "," + Entry("b", "[0]", "[6,6]") + "}",  // a gap
      "{" + a + "}",                                     // bytes at the end
      "{" + Entry("a", "[1]", "[4,8]") + "}",            // bytes at the beginning
      "{" + Entry("a", "[1]", "[4,0]") + "}",            // backwards
      "{" + Entry("a", "[1]", "[0,400]") + "}",          // beyond the file
      "{" + Entry("a", "[2]", "[-8,0]") + "}",
      "{" + Entry("a", "[2]", "[0.0,8.0]") + "}",
      "{" + Entry("a", "[2]", "[0]") + "}",
      "{" + Entry("a", "[2]", "8") + "}",
      "{" + Entry("a", "[2.0]", "[0,8]") + "}",
      "{" + Entry("a", "[-2]", "[0,8]") + "}",
      "{" + Entry("a", "2", "[0,8]") + "}",
      "{" + Entry("a", "[4611686018427387905]", "[0,4]") + "}",      // 2^64 + 4 bytes
      "{" + Entry("a", "[0,4611686018427387905,4]", "[0,0]") + "}",  // strides overflow
      "{" + Entry("a", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2]", "[0,8]") + "}",
      "[]",
      "null",
      "{",
      ""};
  for (const std::string& header : wrong) {
    CAPTURE(header);
    CHECK_FALSE(ComplaintOf(Safetensors(header, "01234567")).empty());
  }
}

TEST_CASE("A safetensors header that is deep, huge or has escapes is refused in few words") {
  const std::string deep(300'000, '[');
  CHECK_THAT(ComplaintOf(Safetensors(deep, "")), Catch::Contains("deep"));
  CHECK_THAT(ComplaintOf(Safetensors("{\"a\":" + deep, "")), Catch::Contains("deep"));
  CHECK_THAT(ComplaintOf(Safetensors("{}" + std::string(17 << 20, ' '), "")),
             Catch::Contains("too large"));
  const std::string shown = ComplaintOf(Safetensors(
      "{" + Entry("\\u001b[2J" + std::string(100'000, 'x'), "[1]", "[4,8]") + "}", "01234567"));
  CHECK(shown.size() < 5000);
  CHECK(shown.find('\x1b') == std::string::npos);
}

TEST_CASE("Weights that are not finite in fp32 are named and refused, whatever their type") {
  const at::NoGradGuard no_autograd;
  const TemporaryDirectory folder;
  ParameterStore store = GoldenStore();
  const std::string refused =
      "weights.safetensors: tensor 'logit_scale' has values that are not finite";
  const auto check = [&](const fs::path& path) {
    CHECK_THROWS_WITH(LoadStartingWeights(path, std::nullopt, store), Catch::Contains(refused));
    CHECK_THROWS_WITH(LoadWeights(path, store), Catch::Contains(refused));
  };
  check(WeightsWith(folder.path(), "F32", std::numeric_limits<float>::quiet_NaN()));
  check(WeightsWith(folder.path(), "F32", -std::numeric_limits<float>::infinity()));
  check(WeightsWith(folder.path(), "F64", std::numeric_limits<double>::quiet_NaN()));
  check(WeightsWith(folder.path(), "F64", 1e300));
  check(WeightsWith(folder.path(), "F16", uint16_t{0x7C00}));
  check(WeightsWith(folder.path(), "BF16", uint16_t{0xFF81}));
  CHECK_NOTHROW(LoadStartingWeights(
      WeightsWith(folder.path(), "F32", std::numeric_limits<float>::max()), std::nullopt, store));
  CHECK_NOTHROW(LoadStartingWeights(
      WeightsWith(folder.path(), "BF16", uint16_t{0x3F80}), std::nullopt, store));
}

TEST_CASE("Starting weights that cannot be resized or are there twice are named") {
  const at::NoGradGuard no_autograd;
  const TemporaryDirectory folder;
  ParameterStore store = GoldenStore();
  const int64_t width = store.Get("visual.positional_embedding").master.size(1);
  for (const int64_t positions : {0, 1, 4}) {
    const auto path =
        WeightsWithShape(folder.path(), "visual.positional_embedding", {positions, width});
    CHECK_THROWS_WITH(LoadStartingWeights(path, std::nullopt, store),
                      Catch::Contains("'visual.positional_embedding' has shape") &&
                          Catch::Contains("expected shape"));
  }
  const SafetensorsFile original(GoldenFolder() / "model_gelu.safetensors");
  std::vector<SafeTensor> twice;
  for (const auto& [name, tensor] : original.tensors()) twice.push_back(tensor);
  twice.push_back(original.Get("logit_scale"));
  twice.back().name = "module.logit_scale";
  WriteSafetensors(folder.path() / "twice", twice);
  CHECK_THROWS_WITH(LoadStartingWeights(folder.path() / "twice", std::nullopt, store),
                    Catch::Contains("'logit_scale' is there twice"));
}

TEST_CASE("A pipe, device or folder in the place of a file of data is refused without waiting") {
  const TemporaryDirectory folder;
  const fs::path pipe = MakePipe(folder.path() / "pipe");
  for (const fs::path& path : {pipe, fs::path("/dev/zero"), folder.path()}) {
    CAPTURE(path.string());
    CHECK_THROWS_AS(RandomAccessFile(path), Failure);
    CHECK_THROWS_AS(SafetensorsFile(path), Failure);
    CHECK_THROWS_AS(ReadGzipOrPlainFile(path, 1 << 20), Failure);
    CHECK_THROWS_AS(ReadClipMerges(path), Failure);
  }
  fs::create_directories(folder.path() / "fashion");
  MakePipe(folder.path() / "fashion/train-images-idx3-ubyte.gz");
  CHECK_THROWS_AS(LoadFashionMnist(folder.path() / "fashion", "0"), Failure);
  const auto warn = [](const std::string&) {};
  CHECK_THROWS_WITH(IndexShards({{pipe.string()}, folder.path() / "index", {}, {}}, warn),
                    Catch::Contains("a pipe, not a regular file"));
  fs::create_directories(folder.path() / "in");
  MakePipe(folder.path() / "in/a.txt");
  WriteFileAtomic(folder.path() / "in/a.jpg", PictureFile());
  CHECK_THROWS_WITH(PairsOfFolder(folder.path() / "in"),
                    Catch::Contains("a pipe, not a regular file"));
  for (const char* name : {kShardIndexFile, kShardSamplesFile}) {
    const TwoSamples set;
    fs::remove(set.index() / name);
    MakePipe(set.index() / name);
    CHECK_THROWS_WITH(set.Open(), Catch::Contains("a pipe, not a regular file"));
  }
}

TEST_CASE("An image whose header claims too many pixels is refused before any of them is made") {
  std::string jpeg = PictureFile();
  const size_t frame = jpeg.find("\xFF\xC0");  // SOF0: size, precision, height, width
  REQUIRE(frame != jpeg.npos);
  jpeg.replace(frame + 5, 4, "\xC3\x50\xC3\x50");
  std::string png("\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\xC3\x50\0\0\xC3\x50\x08\x02\0\0\0", 29);
  const uint32_t crc = Crc32(png.substr(12));
  for (const int shift : {24, 16, 8, 0}) png += static_cast<char>(crc >> shift & 0xFFU);
  png += std::string("\0\0\0\0IDAT\x35\xAF\x06\x1E\0\0\0\0IEND\xAE\x42\x60\x82", 24);
  // A WebP's sides have 14 bits, less one.
  const std::string webp("RIFF\x1A\0\0\0WEBPVP8L\x0D\0\0\0\x2F\xFF\xFF\xFF\x0F\0\0\0\0\0\0\0\0\0",
                         34);
  for (const std::string& file : {jpeg, png, webp}) {
    for (const int64_t least_side : {0, 1, 300}) {
      std::string problem;
      CHECK_FALSE(DecodeImage(file, least_side, problem));
      CHECK_THAT(problem, Catch::Contains("pixels are too many"));
    }
  }
}

TEST_CASE("An index that does not fit its shards or its table is refused") {
  const TwoSamples set;
  const std::string whole = ReadFile(set.json());
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"samples\": 2", "\"samples\": -2"},
           {"\"samples\": 2", "\"samples\": 4611686018427387904"},
           {"\"captions\": 2", "\"captions\": 3"},
           {"\"labels\": 0", "\"labels\": -1"},
           {"\"labels\": 0", "\"labels\": \"0\""},
           {"\"labels\": 0", "\"labels\": " + std::string(300'000, '[')}}) {
    std::string damaged = whole;
    // The first mention of the samples is the shard's, the last the set's: both are tried.
    for (const size_t at : {whole.find(from), whole.rfind(from)}) {
      damaged = whole;
      damaged.replace(at, from.size(), to);
      WriteFileAtomic(set.json(), damaged);
      CHECK_THROWS_AS(set.Open(), Failure);
    }
  }
  std::string both = whole;
  for (size_t at = 0; (at = both.find("\"samples\": 2", at)) != both.npos; at += 12)
    both.replace(at, 12, "\"samples\": 576460752303423490");  // times 32: 64 and 2^64
  WriteFileAtomic(set.json(), both);
  CHECK_THROWS_WITH(set.Open(), Catch::Contains("samples.bin"));
  WriteFileAtomic(set.json(), whole);
  WriteFileAtomic(set.samples(), ReadFile(set.samples()) + "x");
  CHECK_THROWS_WITH(set.Open(), Catch::Contains("samples.bin"));
}

TEST_CASE("A damaged table of samples asks for no memory and reads nothing beyond its shard") {
  const TwoSamples set;
  std::string bytes = ReadFile(set.samples());
  ShardSample sample;
  std::memcpy(&sample, bytes.data(), sizeof sample);
  const auto damage = [&](ShardSample damaged) {
    std::memcpy(bytes.data(), &damaged, sizeof damaged);
    WriteFileAtomic(set.samples(), bytes);
    return set.Open();
  };
  ShardSample large = sample;
  large.text_bytes = 0xFFFF'FFFF;
  CHECK_THROWS_WITH(damage(large).ReadCaption(0), Catch::Contains("expected at most"));
  ShardSample beyond = sample;
  beyond.text_bytes = 1 << 20;
  CHECK_THROWS_WITH(damage(beyond).ReadCaption(0), Catch::Contains("the file ends before"));
  ShardSample far = sample;
  far.image_at = std::numeric_limits<uint64_t>::max() - 100;
  CHECK_THROWS_AS(damage(far).ReadImage(0), Failure);
  CHECK_THROWS_AS(damage(far).NameOf(0), Failure);
}

TEST_CASE("A tar member that is too large for a sample, or its description, is left out by name") {
  const TemporaryDirectory folder;
  std::string archive;
  AppendTarMember("a.jpg", PictureFile(), archive);
  AppendTarMember("a.txt", std::string(2 << 20, 'x'), archive);
  AppendTarMember("b\x1b.jpg", PictureFile(), archive);
  AppendTarMember("c.jpg", PictureFile(), archive);
  AppendTarMember("c.txt", "caption c", archive);
  AppendTarEnd(archive);
  const fs::path path = folder.path() / "s.tar";
  WriteFileAtomic(path, archive);
  Texts warnings;
  CHECK(Captions(path, &warnings) == Texts{"caption c"});
  REQUIRE(warnings.size() == 3);
  CHECK(warnings[0] == "a.txt: has 2097152 bytes, too many");
  CHECK(warnings[2].find('\x1b') == std::string::npos);

  std::string pax;
  AppendTarMember("x", std::string(2 << 20, 'x'), pax);
  pax[156] = 'x';
  int sum = 8 * ' ';
  for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? 0 : static_cast<uint8_t>(pax[i]);
  pax.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  WriteFileAtomic(path, pax + archive);
  warnings.clear();
  CHECK(Captions(path, &warnings).empty());
  CHECK_THAT(warnings.at(0), Catch::Contains("description is too large"));
}

TEST_CASE("A gzip file that holds more than its reader's limit, or is cut off, is refused") {
  const TemporaryDirectory folder;
  const std::string path = (folder.path() / "bomb.gz").string();
  REQUIRE(std::system(("head -c 200000000 /dev/zero | gzip -1 > " + path).c_str()) == 0);
  CHECK_THROWS_WITH(ReadGzipOrPlainFile(path, 1 << 20), Catch::Contains("more than 1048576 bytes"));
  CHECK_THROWS_WITH(ReadClipMerges(path), Catch::Contains("more than"));
  REQUIRE(std::system(("seq 100000 | gzip > " + path).c_str()) == 0);
  const std::string whole = ReadGzipOrPlainFile(path, 1 << 20);
  CHECK(whole.ends_with("\n100000\n"));
  fs::resize_file(path, fs::file_size(path) / 2);
  CHECK_THROWS_WITH(ReadGzipOrPlainFile(path, 1 << 20), Catch::Contains("cut off"));
}

TEST_CASE("make_shards refuses what is no text and rows without end, and knows its lists again") {
  const TemporaryDirectory folder;
  const fs::path table = folder.path() / "t.csv";
  WriteFileAtomic(table, "filepath,title\na.jpg,caf\xE9\n");
  CHECK_THROWS_WITH(PairsOfTable(table, "filepath", "title"),
                    Catch::Contains("a.jpg: its name or caption is not UTF-8"));
  WriteFileAtomic(table, "filepath,title\n");
  CHECK_THROWS_WITH(PairsOfTable(table, "filepath", "title"), Catch::Contains("no rows"));
  fs::resize_file(table, int64_t{2} << 30);  // one line of zeros, 2 GiB
  CHECK_THROWS_WITH(PairsOfTable(table, "filepath", "title"),
                    Catch::Contains("t.csv:2: a row of more than 1048576 bytes"));
  CHECK_THROWS_WITH(PairsOfTable("/dev/zero", "filepath", "title"),
                    Catch::Contains("/dev/zero:1: a row of more than"));
  // The id of a list is that of the JSON array of its pairs.
  WriteFileAtomic(table, "filepath,title\n/d/a.jpg,\"x \"\"y\"\"\"\n/d/b.png,z\n");
  CHECK(PairsOfTable(table, "filepath", "title").content ==
        ContentId(Json::array({{"/d/a.jpg", "x \"y\""}, {"/d/b.png", "z"}})));
}

}  // namespace sweep
