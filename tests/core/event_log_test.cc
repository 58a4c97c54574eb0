#include "core/event_log.h"

#include <catch2/catch.hpp>

namespace sweep {

TEST_CASE("An event line survives writing and reading") {
  const Json event = {{"seq", 3}, {"type", "step"}, {"loss", 4.25}};
  std::string line = SealEventLine(event);
  REQUIRE(line.back() == '\n');
  line.pop_back();
  const EventLine parsed = ParseEventLine(line);
  CHECK(parsed.status == EventLine::Status::kWhole);
  CHECK(parsed.event == event);
}

TEST_CASE("The checksum is what Python's zlib.crc32 gives for the bytes before it") {
  CHECK(SealEventLine(Json{{"seq", 1}}) == "{\"seq\":1,\"crc32\":\"8c63767c\"}\n");
}

TEST_CASE("Every single cut and every flipped byte of a line is noticed") {
  std::string line =
      SealEventLine(Json{{"seq", 7}, {"type", "checkpoint"}, {"samples_seen", 4096}});
  line.pop_back();
  for (size_t cut = 0; cut < line.size(); ++cut) {
    CHECK(ParseEventLine(line.substr(0, cut)).status == EventLine::Status::kCorrupt);
  }
  for (size_t i = 0; i < line.size(); ++i) {
    std::string flipped = line;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    CHECK(ParseEventLine(flipped).status == EventLine::Status::kCorrupt);
  }
}

}  // namespace sweep
