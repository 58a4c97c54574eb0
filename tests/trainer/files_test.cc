// Formats on disk: safetensors, checkpoints' folders, events.
#include <catch2/catch.hpp>
#include <fstream>

#include "core/event_log.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/json.h"
#include "tests/support/temporary_directory.h"
#include "trainer/checkpoint_folder.h"
#include "trainer/event_writer.h"
#include "trainer/safetensors.h"

namespace sweep {
namespace {

std::filesystem::path WriteSmall(const std::filesystem::path& folder) {
  const auto path = folder / "small.safetensors";
  WriteSafetensors(path, {{"a", "F32", {2}, "01234567"}, {"b.c", "I64", {}, "89abcdef"}});
  return path;
}

CheckpointManifest SmallManifest(int64_t samples_seen) {
  CheckpointManifest manifest;
  manifest.run_id = "r";
  manifest.samples_seen = samples_seen;
  manifest.step = samples_seen / 8;
  return manifest;
}

std::filesystem::path PublishSmall(const RunDirectory& directory,
                                   int64_t attempt,
                                   int64_t samples_seen) {
  return PublishCheckpoint(directory.checkpoints(attempt),
                           SmallManifest(samples_seen),
                           [](auto folder) { WriteFileAtomic(folder / "weights", "1234"); });
}

// What a checkpoint says after damage: its manifest, or nothing where the damage was noticed.
Json ManifestOf(const std::filesystem::path& checkpoint) {
  try {
    (void)OpenCheckpoint(checkpoint);
    return ReadJsonFile((checkpoint / "manifest.json").string());
  } catch (const Failure&) {
    return nullptr;
  }
}

// How many of the file's flipped bits make the checkpoint say something else than before.
int UnnoticedFlips(const std::filesystem::path& checkpoint, const std::string& name) {
  const Json before = ManifestOf(checkpoint);
  const std::string whole = ReadFile(checkpoint / name);
  int unnoticed = 0;
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    std::ofstream(checkpoint / name, std::ios::binary) << damaged;
    const Json after = ManifestOf(checkpoint);
    if (!after.is_null() && (name != "manifest.json" || after != before)) ++unnoticed;
  }
  return unnoticed;
}

}  // namespace

TEST_CASE("A safetensors file survives writing and reading") {
  const TemporaryDirectory folder;
  const SafetensorsFile file(WriteSmall(folder.path()));
  CHECK(file.tensors().size() == 2);
  CHECK(file.Get("a").bytes == "01234567");
  CHECK(file.Get("b.c").dtype == "I64");
  CHECK(file.Get("b.c").shape.empty());
  CHECK_THROWS_WITH(file.Get("d"), Catch::Contains("no tensor 'd'"));
}

TEST_CASE("A safetensors file cut at any byte is refused, never half read") {
  const TemporaryDirectory folder;
  const std::string whole = ReadFile(WriteSmall(folder.path()));
  for (size_t size = 0; size < whole.size(); ++size) {
    WriteFileAtomic(folder.path() / "cut", whole.substr(0, size));
    CHECK_THROWS_AS(SafetensorsFile(folder.path() / "cut"), Failure);
  }
}

TEST_CASE("A tensor whose shape leads beyond its bytes is refused") {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1000,1000],"data_offsets":[0,4]}})"
                             "  ";
  std::string content(8, '\0');
  content[0] = static_cast<char>(header.size());
  content += header + "data";
  CHECK_THROWS_WITH(ParseSafetensors(content, "here"),
                    Catch::Contains("tensor 'a' of shape [1000,1000] and dtype F32 has 4 bytes"));
}

TEST_CASE("The newest valid checkpoint of any attempt is found and damage reported") {
  const TemporaryDirectory folder;
  const RunDirectory directory(folder.path());
  std::vector<std::string> reports;
  const auto report = [&](const std::string& text) { reports.push_back(text); };
  CHECK_FALSE(NewestCheckpoint(directory, "r", report));
  PublishSmall(directory, 1, 8);
  PublishSmall(directory, 2, 16);
  PublishSmall(directory, 1, 24);
  CHECK(NewestCheckpoint(directory, "r", report)->manifest.samples_seen == 24);
  WriteFileAtomic(directory.checkpoints(1) / "000000000024" / "weights", "1235");
  CHECK(NewestCheckpoint(directory, "r", report)->manifest.samples_seen == 16);
  REQUIRE(reports.size() == 1);
  CHECK_THAT(reports[0], Catch::Contains("000000000024/weights is damaged"));
  std::filesystem::remove(directory.checkpoints(2) / "000000000016" / "manifest.json");
  CHECK(NewestCheckpoint(directory, "r", report)->manifest.samples_seen == 8);
  CHECK_FALSE(NewestCheckpoint(directory, "another run", report));
}

TEST_CASE("Each flipped bit of a checkpoint is noticed") {
  const TemporaryDirectory folder;
  const auto weights = PublishSmall(RunDirectory(folder.path()), 1, 8);
  CHECK(UnnoticedFlips(weights, "weights") == 0);
  const auto manifest = PublishSmall(RunDirectory(folder.path()), 1, 16);
  CHECK(UnnoticedFlips(manifest, "manifest.json") == 0);
}

TEST_CASE("A checkpoint from before manifests had a hash of their own is taken") {
  const TemporaryDirectory folder;
  const auto path = PublishSmall(RunDirectory(folder.path()), 1, 8) / "manifest.json";
  Json manifest = ReadJsonFile(path.string());
  REQUIRE(manifest.erase("sha256") == 1);
  WriteFileAtomic(path, manifest.dump());
  CHECK(OpenCheckpoint(path.parent_path()).manifest.step == 1);
}

TEST_CASE("A damaged checkpoint is written anew, a whole one is left alone") {
  const TemporaryDirectory folder;
  const RunDirectory directory(folder.path());
  const auto checkpoint = PublishSmall(directory, 1, 8);
  const auto first = std::filesystem::last_write_time(checkpoint / "manifest.json");
  PublishSmall(directory, 1, 8);
  CHECK(std::filesystem::last_write_time(checkpoint / "manifest.json") == first);
  WriteFileAtomic(checkpoint / "weights", "1235");
  CHECK(PublishSmall(directory, 1, 8) == checkpoint);
  CHECK(ReadFile(checkpoint / "weights") == "1234");
}

TEST_CASE("A checkpoint whose writing failed leaves nothing behind, not even what takes room") {
  const TemporaryDirectory folder;
  const RunDirectory directory(folder.path());
  CHECK_THROWS(PublishCheckpoint(directory.checkpoints(1), SmallManifest(8), [](auto path) {
    WriteFileAtomic(path / "weights", "12");
    throw Failure(FailureCode::kInternal, "disk full");
  }));
  CHECK(std::filesystem::is_empty(directory.checkpoints(1)));
}

TEST_CASE("What a kill in the middle of writing a checkpoint left is cleaned up") {
  const TemporaryDirectory folder;
  const RunDirectory directory(folder.path());
  MakeDirectories(directory.checkpoints(1) / ".writing-000000000008");
  CHECK_FALSE(NewestCheckpoint(directory, "r", [](const std::string&) {}));
  PruneCheckpoints(directory, {});
  CHECK(std::filesystem::is_empty(directory.checkpoints(1)));
}

TEST_CASE("Events continue their numbers after a torn tail, which becomes one corrupt line") {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "events.jsonl";
  EventWriter(path).Write("step", {{"loss", 1.5}});
  const std::string first = ReadFile(path);
  WriteFileAtomic(path, first + R"({"loss":2.5,"se)");
  EventWriter(path).Write("step", {{"loss", 3.5}});
  const std::string text = ReadFile(path);
  const std::string last = text.substr(text.find('\n', first.size()) + 1);
  const EventLine line = ParseEventLine(last.substr(0, last.size() - 1));
  REQUIRE(line.status == EventLine::Status::kWhole);
  CHECK(line.event.at("seq") == 2);
  CHECK(line.event.at("at") > 1.6e9);
}

}  // namespace sweep
