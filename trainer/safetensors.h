#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sweep {

/// One tensor of a safetensors file: little-endian values, last dimension fastest.
struct SafeTensor {
  std::string name;
  std::string dtype;  ///< "F32", "BF16", "I64", …
  std::vector<int64_t> shape;
  std::string_view bytes;  ///< owned elsewhere: by the caller, or by the SafetensorsFile
};

/// Writes a file of the safetensors format one tensor after the other, in any order, so that they
/// need not all be in memory. Throws Failure(kDatabase).
class SafetensorsWriter {
 public:
  /// `tensors` says what the file is to hold; their bytes are not looked at.
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<SafeTensor>& tensors);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  void Write(const std::string& name, std::string_view bytes);
  /// After all tensors: syncs the file.
  void Finish();

 private:
  class File;
  std::unique_ptr<File> file_;
  std::map<std::string, uint64_t> offsets_;
};

/// Writes and syncs a file of the safetensors format (github.com/huggingface/safetensors: 8 bytes
/// header length, JSON header, tensor bytes). Throws Failure(kDatabase).
void WriteSafetensors(const std::filesystem::path& path, const std::vector<SafeTensor>& tensors);

/// The tensors of a file's content, by name; their bytes are `content`'s. Each has as many bytes as
/// its shape and dtype say, and they lie one after the other without gaps or overlaps, as the format
/// demands. Throws Failure(kData) naming `origin` for anything else, and for a header of more than
/// 16 MiB. Values are not looked at.
[[nodiscard]] std::map<std::string, SafeTensor> ParseSafetensors(std::string_view content,
                                                                 const std::string& origin);

/// A safetensors file, mapped: what is not looked at takes no memory, and the kernel may drop what
/// was. The file must not change meanwhile. Throws Failure(kData) naming the file when it is
/// missing or not in the format.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// Throws Failure(kData) when there is none of that name.
  [[nodiscard]] const SafeTensor& Get(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, SafeTensor>& tensors() const { return tensors_; }

 private:
  class Mapping;
  std::string path_;
  std::shared_ptr<const Mapping> content_;
  std::map<std::string, SafeTensor> tensors_;
};

}  // namespace sweep
