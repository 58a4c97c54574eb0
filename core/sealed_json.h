#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace sweep {

/// An object as a file that may carry its own checksum has it.
struct SealedJson {
  Json document;         ///< without the checksum
  bool checked = false;  ///< the file carried one, and it holds
};

/// The text of a file that carries its checksum: the (not empty) object's last member is
/// `"sha256":"…"`, the SHA-256 (64 hexadecimal digits) of all bytes of the file before
/// `,"sha256":`. As with event lines, any language's JSON library can write it
/// (docs/run_directory.md).
[[nodiscard]] std::string SealJson(const Json& object);

/// Parses such a text, or one without checksum. Throws Malformed naming `origin` when it is not
/// valid JSON or its checksum does not hold.
[[nodiscard]] SealedJson ParseSealedJson(std::string_view text, const std::string& origin);

}  // namespace sweep
