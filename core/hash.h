#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/text_source.h"

namespace sweep {

/// SHA-256 as 64 hexadecimal digits.
[[nodiscard]] std::string Sha256Hex(std::string_view bytes);

/// SHA-256 of a file's bytes, read in pieces. Throws Failure(kUsage) when it cannot be read.
[[nodiscard]] std::string Sha256HexOfFile(const std::filesystem::path& path);

/// The project's identity of anything: the first 128 bits (32 hexadecimal digits) of SHA-256 over
/// canonical JSON.
[[nodiscard]] std::string ContentId(Json value);

/// The same where the canonical text is at hand.
[[nodiscard]] std::string ContentIdOfText(std::string_view canonical_json);
[[nodiscard]] std::string ContentIdOfText(const TextSource& canonical_json);

/// The same 128-bit identity for the raw bytes of a file.
[[nodiscard]] std::string ContentIdOfFile(const std::filesystem::path& path);

/// CRC-32 (the polynomial of zlib, gzip and Python's zlib.crc32).
[[nodiscard]] uint32_t Crc32(std::string_view bytes);

}  // namespace sweep
