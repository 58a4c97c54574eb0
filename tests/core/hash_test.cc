#include "core/hash.h"

#include <catch2/catch.hpp>

namespace sweep {

TEST_CASE("Sha256Hex matches the FIPS 180 example") {
  CHECK(Sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("ContentId does not see key order or the spelling of integral numbers") {
  CHECK(ContentId(Json::parse(R"({"a":1,"b":2.0})")) == ContentId(Json::parse(R"({"b":2,"a":1})")));
  CHECK(ContentId(Json::parse(R"({"a":1})")) != ContentId(Json::parse(R"({"a":1.5})")));
}

TEST_CASE("Crc32 is the checksum of zlib") {
  CHECK(Crc32("123456789") == 0xCBF43926U);
}

}  // namespace sweep
