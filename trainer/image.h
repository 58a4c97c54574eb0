#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sweep {

/// A decoded picture.
struct Image {
  int64_t width = 0;             ///< pixels
  int64_t height = 0;            ///< pixels
  std::vector<uint8_t> rgb_HWC;  ///< [row][column][red, green, blue]
};

/// Decodes a JPEG, PNG or WebP file, told by its first bytes, to RGB as PIL's convert("RGB") does:
/// transparency is dropped, 16 bits become 8, colour profiles and orientation marks are ignored. A
/// JPEG may come out at a reduced scale, as long as its shorter side keeps `least_side` pixels; 0
/// asks for the full size. A file that is damaged, cut off or in another format gives nothing, and
/// `problem` says why.
[[nodiscard]] std::optional<Image> DecodeImage(std::string_view file,
                                               int64_t least_side,
                                               std::string& problem);

}  // namespace sweep
