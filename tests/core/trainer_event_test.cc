#include "core/trainer_event.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "core/event_log.h"
#include "core/failure.h"
#include "tests/support/temporary_directory.h"

namespace sweep {
namespace {

constexpr int64_t kSamples = 1000;

void Append(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::app | std::ios::binary) << text;
}

Json Step(int64_t seq) {
  return {{"seq", seq}, {"at", 1.5}, {"type", "step"}, {"samples_seen", 128}, {"loss", nullptr}};
}

}  // namespace

TEST_CASE("An event with a null loss, unknown members or of an unknown type is accepted") {
  CheckEvent(Step(1), kSamples);
  Json more = Step(2);
  more["colour"] = {{"red", 1}};
  more["samples_seen"] = 128.0;
  CheckEvent(more, kSamples);
  CheckEvent({{"seq", 3}, {"type", "my own"}, {"loss", "high"}}, kSamples);
}

TEST_CASE("An event whose known members are of another type or range is refused by name") {
  const std::vector<std::pair<const char*, Json>> lies = {{"seq", "1"},
                                                          {"seq", 0},
                                                          {"seq", 1.5},
                                                          {"seq", UINT64_MAX},
                                                          {"type", 7},
                                                          {"type", ""},
                                                          {"at", "noon"},
                                                          {"at", -1},
                                                          {"at", 1e300},
                                                          {"samples_seen", -1},
                                                          {"samples_seen", kSamples + 1},
                                                          {"samples_seen", nullptr},
                                                          {"loss", "x"},
                                                          {"samples_per_second", -2}};
  for (const auto& [member, lie] : lies) {
    Json event = Step(1);
    event[member] = lie;
    INFO(event.dump());
    CHECK_THROWS_WITH(CheckEvent(event, kSamples),
                      Catch::StartsWith("'" + std::string(member) + "' is "));
  }
}

TEST_CASE("Events are read line by line, what is wrong is told by its byte") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "events.jsonl";
  CHECK(ReadEvents(path, 0, kSamples).events.empty());
  const std::string first = SealEventLine(Step(1));
  Append(path,
         first + "no event\n" + SealEventLine({{"seq", "2"}}) + SealEventLine(Step(3)) + "to");
  const EventPiece piece = ReadEvents(path, 0, kSamples);
  CHECK(piece.events == std::vector<Json>{Step(1), Step(3)});
  REQUIRE(piece.problems.size() == 2);
  CHECK_THAT(piece.problems[0],
             Catch::EndsWith("the line at byte " + std::to_string(first.size()) +
                             " is damaged and was skipped"));
  CHECK_THAT(piece.problems[1], Catch::Contains("was skipped: 'seq' is \"2\""));
  CHECK_FALSE(piece.more);
  Append(path, "rn\n" + SealEventLine(Step(4)));
  CHECK(ReadEvents(path, piece.end, kSamples).events == std::vector<Json>{Step(4)});
}

TEST_CASE(
    "A line or file of any length takes a few pieces of memory, and what follows is taken in") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "events.jsonl";
  Append(path, "");
  std::filesystem::resize_file(path, 100 << 20);  // a line of zeros
  Append(path, "\n" + SealEventLine(Step(1)));
  EventPiece piece = ReadEvents(path, 0, kSamples);
  REQUIRE(piece.problems.size() == 1);
  CHECK_THAT(piece.problems[0], Catch::Contains("the line at byte 0 is longer than 1048576 bytes"));
  REQUIRE(piece.more);
  CHECK(ReadEvents(path, piece.end, kSamples).events.size() == 1);
  std::filesystem::resize_file(path, uintmax_t{100} << 30);
  for (int i = 0; i < 4 && piece.more; ++i) piece = ReadEvents(path, piece.end, kSamples);
  CHECK_FALSE(piece.more);
  CHECK(piece.end == kMostEventBytes);
  CHECK_THAT(piece.problems.back(), Catch::Contains("too many events"));
  CHECK(ReadEvents(path, piece.end, kSamples).problems.empty());
}

}  // namespace sweep
