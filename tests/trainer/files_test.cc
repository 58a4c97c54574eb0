// Formats on disk: safetensors, checkpoints' folders, events.
#include <catch2/catch.hpp>

#include "core/event_log.h"
#include "core/failure.h"
#include "core/files.h"
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

void PublishSmall(const RunDirectory& directory, int64_t attempt, int64_t samples_seen) {
  PublishCheckpoint(directory.checkpoints(attempt), SmallManifest(samples_seen), [](auto folder) {
    WriteFileAtomic(folder / "weights", "1234");
  });
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

TEST_CASE("A checkpoint whose writing failed leaves none behind") {
  const TemporaryDirectory folder;
  const RunDirectory directory(folder.path());
  CHECK_THROWS(PublishCheckpoint(directory.checkpoints(1), SmallManifest(8), [](auto path) {
    WriteFileAtomic(path / "weights", "12");
    throw Failure(FailureCode::kInternal, "disk full");
  }));
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
