#include "trainer/image.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "core/files.h"
#include "tests/trainer/golden_folder.h"
#include "trainer/image_transform.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kEvalSide = 24, kCropSide = 20;

// The pictures of make_image_goldens.py.
std::vector<fs::path> Pictures() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(GoldenFolder() / "images")) {
    if (entry.path().extension() != ".ppm") paths.push_back(entry.path());
  }
  return paths;
}

// A golden that belongs to a picture: `suffix` is "", ".eval" or ".crop".
Image Golden(const fs::path& picture, const std::string& suffix) {
  std::string stem = picture.filename().string();
  stem[stem.rfind('.')] = '_';
  const std::string file = ReadFile(picture.parent_path() / (stem + suffix + ".ppm"));
  std::istringstream header(file);
  std::string magic;
  int64_t most = 0;
  Image image;
  header >> magic >> image.width >> image.height >> most;
  image.rgb_HWC.assign(file.begin() + 1 + header.tellg(), file.end());
  return image;
}

Image Decoded(const fs::path& picture, int64_t least_side = 0) {
  std::string problem;
  const auto image = DecodeImage(ReadFile(picture), least_side, problem);
  CHECK(problem.empty());
  REQUIRE(image);
  return *image;
}

Image FromPlanes(const std::vector<uint8_t>& planes, int64_t side) {
  Image image{side, side, std::vector<uint8_t>(planes.size())};
  const size_t plane = planes.size() / 3;
  for (size_t i = 0; i < planes.size(); ++i) image.rgb_HWC[3 * (i % plane) + i / plane] = planes[i];
  return image;
}

int LargestDifference(const Image& a, const Image& b) {
  REQUIRE(a.width == b.width);
  REQUIRE(a.height == b.height);
  REQUIRE(a.rgb_HWC.size() == b.rgb_HWC.size());
  int largest = 0;
  for (size_t i = 0; i < a.rgb_HWC.size(); ++i)
    largest = std::max(largest, std::abs(a.rgb_HWC[i] - b.rgb_HWC[i]));
  return largest;
}

bool IsLossless(const fs::path& picture) {
  const std::string name = picture.filename().string();
  return picture.extension() == ".png" || name.ends_with("lossless.webp") ||
         name.ends_with("alpha.webp");
}

fs::path PictureEndingWith(const std::string& ending) {
  for (const auto& path : Pictures()) {
    if (path.string().ends_with(ending)) return path;
  }
  FAIL("no picture " << ending);
  return {};
}

}  // namespace

TEST_CASE("Pictures decode as PIL decodes them", "[image_golden]") {
  CHECK(Pictures().size() >= 13);
  for (const auto& picture : Pictures()) {
    CAPTURE(picture.string());
    CHECK(LargestDifference(Decoded(picture), Golden(picture, "")) <=
          (IsLossless(picture) ? 0 : 1));
  }
}

TEST_CASE("The transform for evaluation is open_clip's within 1/255", "[image_golden]") {
  for (const auto& picture : Pictures()) {
    CAPTURE(picture.string());
    std::vector<uint8_t> planes(3 * kEvalSide * kEvalSide);
    ResizeAndCenterCrop(Golden(picture, ""), kEvalSide, planes);
    CHECK(LargestDifference(FromPlanes(planes, kEvalSide), Golden(picture, ".eval")) <= 1);
  }
}

TEST_CASE("A part is resized as PIL resizes it, within 1/255", "[image_golden]") {
  for (const auto& picture : Pictures()) {
    CAPTURE(picture.string());
    const Image image = Golden(picture, "");
    const int64_t x = image.width / 8;
    const int64_t y = image.height / 8;
    std::vector<uint8_t> planes(3 * kCropSide * kCropSide);
    ResizeBicubic(image,
                  {x, y, image.width - 2 * x, image.height - 2 * y},
                  kCropSide,
                  kCropSide,
                  {0, 0, kCropSide, kCropSide},
                  planes);
    CHECK(LargestDifference(FromPlanes(planes, kCropSide), Golden(picture, ".crop")) <= 1);
  }
}

TEST_CASE("A JPEG is decoded at the smallest scale that keeps the side asked for") {
  const fs::path picture = PictureEndingWith("61x38_baseline.jpg");
  CHECK(Decoded(picture, 19).height == 19);
  CHECK(Decoded(picture, 19).width == 31);
  CHECK(Decoded(picture, 20).height == 38);
  CHECK(Decoded(picture, 4).height == 5);
  CHECK(Decoded(picture, 1000).height == 38);
}

TEST_CASE("A picture cut off anywhere or in another format gives a problem, not pixels") {
  for (const char* ending : {"baseline.jpg", "progressive.jpg", "alpha.png", "lossy.webp"}) {
    CAPTURE(ending);
    const std::string file = ReadFile(PictureEndingWith(ending));
    for (size_t size = 0; size + 64 < file.size(); size += 13) {
      std::string problem;
      CHECK_FALSE(DecodeImage(file.substr(0, size), 0, problem));
      CHECK_FALSE(problem.empty());
    }
  }
  std::string problem;
  CHECK_FALSE(DecodeImage("GIF89a", 0, problem));
  CHECK(problem == "neither JPEG nor PNG nor WebP");
}

TEST_CASE("Pictures with damaged bytes are decoded or refused, within their memory") {
  for (const auto& picture : Pictures()) {
    const std::string file = ReadFile(picture);
    Random random(1, static_cast<int64_t>(file.size()));
    for (int damage = 0; damage < 20; ++damage) {
      std::string bytes = file;
      bytes[static_cast<size_t>(random.Below(static_cast<int64_t>(bytes.size())))] ^=
          static_cast<char>(1 + random.Below(255));
      std::string problem;
      const auto image = DecodeImage(bytes, 0, problem);
      CHECK(image.has_value() == problem.empty());
    }
  }
}

TEST_CASE("Random crops keep 90 to 100 % of the area and are a function of their key") {
  double least = 1;
  double most = 0;
  for (int key = 0; key < 200; ++key) {
    Random random(7, key);
    const PixelBox box = RandomCropBox(400, 380, 0.9, random);
    const double area = static_cast<double>(box.width * box.height) / (400. * 380.);
    least = std::min(least, area);
    most = std::max(most, area);
    CHECK(box.left >= 0);
    CHECK(box.left + box.width <= 400);
    CHECK(box.top + box.height <= 380);
    Random again(7, key);
    CHECK(RandomCropBox(400, 380, 0.9, again).left == box.left);
  }
  CHECK(least == Approx(0.90).margin(0.01));
  CHECK(most > 0.97);
}

TEST_CASE("A picture too long for any random crop gives its middle at the nearest ratio") {
  Random random(1);
  const PixelBox wide = RandomCropBox(300, 30, 0.9, random);
  CHECK(wide.left == 130);
  CHECK(wide.width == 40);
  CHECK(wide.height == 30);
  const PixelBox tall = RandomCropBox(30, 300, 0.9, random);
  CHECK(tall.top == 130);
  CHECK(tall.height == 40);
}

}  // namespace sweep
