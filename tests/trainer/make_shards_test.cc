#include "trainer/make_shards.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "core/failure.h"
#include "tests/support/temporary_directory.h"
#include "tests/trainer/shard_files.h"
#include "tests/trainer/small_data.h"
#include "trainer/image.h"

namespace sweep {

TEST_CASE("make_shards packs a table or a folder, and goes on where it was stopped") {
  const TemporaryDirectory folder;
  fs::create_directories(folder.path() / "in");
  std::string table = "filepath\ttitle\n";
  for (int i = 0; i < 5; ++i) {
    const std::string name = "p" + std::to_string(i);
    WriteFileAtomic(folder.path() / "in" / (name + ".JPG"), PictureFile());
    WriteFileAtomic(folder.path() / "in" / (name + ".txt"), "caption " + name);
    table += "in/" + name + ".JPG\tcaption " + name + "\n";
  }
  WriteFileAtomic(folder.path() / "table.tsv", table);
  const fs::path out = folder.path() / "out";
  MakeShards(PairsOfTable(folder.path() / "table.tsv", "filepath", "title"), 2, out);
  CHECK(Captions(out / "00002.tar") == Texts{"caption p4"});
  const std::string second = ReadFile(out / "00001.tar");
  fs::remove(out / "00001.tar");
  WriteFileAtomic(out / "00000.tar", "made before");
  MakeShards(PairsOfFolder(folder.path() / "in"), 2, out);  // the same list
  CHECK(ReadFile(out / "00001.tar") == second);
  CHECK(ReadFile(out / "00000.tar") == "made before");
  CHECK_THROWS_WITH(MakeShards(PairsOfFolder(folder.path() / "in"), 3, out),
                    Catch::Contains("shards of another list or size"));
}

TEST_CASE("make_shards names what is missing, with file and line") {
  const TemporaryDirectory folder;
  const fs::path table = folder.path() / "t.csv";
  WriteFileAtomic(table, "filepath,title\na.jpg,x\nb.gif,y\n");
  CHECK_THROWS_WITH(PairsOfTable(table, "filepath", "title"),
                    Catch::Contains("t.csv:3: image 'b.gif', expected a jpg"));
  CHECK_THROWS_WITH(PairsOfTable(table, "url", "title"), Catch::Contains("no column 'url'"));
  WriteFileAtomic(table, "filepath,title\na.jpg,x\n");
  CHECK_THROWS_WITH(MakeShards(PairsOfTable(table, "filepath", "title"), 2, folder.path() / "out"),
                    Catch::Contains("a.jpg is missing"));
  CHECK_FALSE(fs::exists(folder.path() / "out" / "00000.tar"));
  WriteFileAtomic(folder.path() / "c.png", "x");
  CHECK_THROWS_WITH(PairsOfFolder(folder.path()), Catch::Contains("c.txt is missing"));
}

// A folder of pictures and captions, some of them no pictures.
fs::path FolderWithJunk(const fs::path& folder, int good, int junk) {
  fs::create_directories(folder);
  for (int i = 0; i < good + junk; ++i) {
    const std::string name = fmt::format("p{:02}", i);
    const bool text = i < junk && i % 2 == 0;
    WriteFileAtomic(folder / (name + ".jpg"), i >= junk ? PictureFile() : text ? "no picture" : "");
    WriteFileAtomic(folder / (name + ".txt"), "caption " + name);
  }
  return folder;
}

TEST_CASE(
    "make_shards names files that are no images and leaves them out, up to training's limit") {
  const TemporaryDirectory folder;
  const fs::path in = FolderWithJunk(folder.path() / "in", 3, 2);
  std::vector<std::string> warnings;
  const auto warn = [&](const std::string& text) { warnings.push_back(text); };
  MakeShards(PairsOfFolder(in), 5, folder.path() / "out", 2, warn);
  CHECK(Captions(folder.path() / "out" / "00000.tar") ==
        Texts{"caption p02", "caption p03", "caption p04"});
  REQUIRE(warnings.size() == 2);
  CHECK_THAT(warnings[0], Catch::Contains("p00.jpg: neither JPEG nor PNG nor WebP"));
  CHECK_THAT(warnings[1], Catch::Contains("p01.jpg: "));
  const fs::path many = FolderWithJunk(folder.path() / "many", 3, 11);
  CHECK_THROWS_WITH(MakeShards(PairsOfFolder(many), 20, folder.path() / "out2"),
                    Catch::Contains("more than 10 of 14 images cannot be used"));
  const fs::path none = FolderWithJunk(folder.path() / "none", 0, 1);
  CHECK_THROWS_WITH(MakeShards(PairsOfFolder(none), 20, folder.path() / "out3"),
                    Catch::Contains("none of a shard's images"));
  CHECK_THROWS_WITH(PairsOfFolder(folder.path() / "nosuch"), Catch::Contains("no folder"));
}

TEST_CASE("Shards of fashion_scenes hold its pairs as they are") {
  const TemporaryDirectory folder;
  const SmallFashionData data(folder.path() / "fashion");
  const PairList pairs = PairsOfFashionScenes(data.folder(), data.content(), 28, 6);
  MakeShards(pairs, 4, folder.path() / "out");
  CHECK(Captions(folder.path() / "out" / "00001.tar").front() == pairs.load(4).caption);
  std::string problem;
  const auto image = DecodeImage(pairs.load(5).image, 0, problem);
  REQUIRE(image);
  CHECK(image->width == 28);
}

}  // namespace sweep
