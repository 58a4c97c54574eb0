#include "trainer/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace sweep {
namespace {

constexpr int64_t kBlock = 512;
// Of the header before a member that has its name: names are as long as paths may be.
constexpr int64_t kMostDescription = int64_t{1} << 20;

// Fields of a header block: where they begin and how long they are (POSIX.1-2001, ustar).
struct HeaderField {
  size_t at, size;
};
constexpr HeaderField kName{0, 100}, kMode{100, 8}, kSize{124, 12}, kChecksum{148, 8},
    kType{156, 1}, kMagic{257, 8}, kPrefix{345, 155};

int64_t Padded(int64_t bytes) {
  return (bytes + kBlock - 1) / kBlock * kBlock;
}

std::string_view TextOf(std::string_view block, HeaderField field) {
  const std::string_view text = block.substr(field.at, field.size);
  return text.substr(0, text.find('\0'));
}

// Octal digits, or GNU's big-endian bytes for sizes of 8 GiB and more; -1 for anything else.
int64_t NumberOf(std::string_view block, HeaderField field) {
  std::string_view text = block.substr(field.at, field.size);
  if ((static_cast<uint8_t>(text[0]) & 0x80U) != 0) {
    uint64_t value = static_cast<uint8_t>(text[0]) & 0x7FU;
    for (const char byte : text.substr(1)) value = (value << 8U) | static_cast<uint8_t>(byte);
    return static_cast<int64_t>(value & INT64_MAX);
  }
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  return parsed.ec == std::errc() ? value : -1;
}

// INT64_MAX, which no file has, for anything that is no number.
int64_t DecimalOf(std::string_view text) {
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() && value >= 0 ? value : INT64_MAX;
}

// The sum of all bytes, with the checksum's own field taken as spaces.
int64_t ChecksumOf(std::string_view block) {
  int64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kChecksum.at && i < kChecksum.at + kChecksum.size;
    sum += own ? ' ' : static_cast<uint8_t>(block[i]);
  }
  return sum;
}

// The records "LENGTH KEY=VALUE\n" of a pax header.
std::map<std::string, std::string> PaxRecords(std::string_view text) {
  std::map<std::string, std::string> records;
  while (!text.empty()) {
    size_t length = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
    const auto digits = static_cast<size_t>(parsed.ptr - text.data());
    if (parsed.ec != std::errc() || length <= digits + 1 || length > text.size()) break;
    const std::string_view record = text.substr(digits + 1, length - digits - 2);
    const size_t equals = std::min(record.find('='), record.size() - 1);
    records[std::string(record.substr(0, equals))] = record.substr(equals + 1);
    text.remove_prefix(length);
  }
  return records;
}

std::string NameOf(std::string_view block) {
  const std::string_view prefix = TextOf(block, kPrefix);
  const bool posix = block.substr(kMagic.at, 6) == std::string_view("ustar\0", 6);
  std::string name(TextOf(block, kName));
  return posix && !prefix.empty() ? std::string(prefix) + "/" + name : name;
}

}  // namespace

std::optional<TarMember> TarReader::Stop(const char* why) {
  problem_ = fmt::format("{} at byte {}", why, at_);
  return std::nullopt;
}

std::optional<TarMember> TarReader::Next() {
  std::string long_name;
  int64_t long_size = -1;
  while (problem_.empty()) {
    if (at_ + kBlock > file_.size()) return Stop("the archive ends");
    const std::string block = file_.Read(at_, kBlock);
    if (block.find_first_not_of('\0') == block.npos) return std::nullopt;
    if (NumberOf(block, kChecksum) != ChecksumOf(block)) return Stop("a header is damaged");
    const int64_t bytes = long_size >= 0 ? long_size : NumberOf(block, kSize);
    const int64_t offset = at_ + kBlock;
    if (bytes < 0 || bytes > file_.size() - offset) return Stop("a member is cut off");
    const char type = block[kType.at];
    at_ = offset + Padded(bytes);
    const bool describes = type == 'x' || type == 'L';
    if (describes && bytes > kMostDescription) return Stop("a member's description is too large");
    if (type == 'x') {
      auto records = PaxRecords(file_.Read(offset, bytes));
      if (records.contains("path")) long_name = records["path"];
      if (records.contains("size")) long_size = DecimalOf(records["size"]);
    } else if (type == 'L') {
      long_name = file_.Read(offset, bytes).c_str();
    } else if (type == '0' || type == '\0' || type == '7') {
      return TarMember{long_name.empty() ? NameOf(block) : long_name, offset, bytes};
    } else if (type != 'g' && type != 'K') {
      long_name.clear();
      long_size = -1;
    }
  }
  return std::nullopt;
}

void AppendTarMember(std::string_view name, std::string_view content, std::string& archive) {
  std::string block(kBlock, '\0');
  const auto put = [&block](HeaderField field, std::string_view text) {
    std::copy_n(text.begin(),
                std::min(text.size(), field.size),
                block.begin() + static_cast<std::ptrdiff_t>(field.at));
  };
  put(kName, name);
  put(kMode, "0000644");
  put(kSize, fmt::format("{:011o}", content.size()));
  put(kType, "0");
  put(kMagic, std::string_view("ustar\00000", 8));
  put(kChecksum, fmt::format("{:06o}", ChecksumOf(block)));
  archive += block;
  archive += content;
  archive.resize(static_cast<size_t>(Padded(static_cast<int64_t>(archive.size()))), '\0');
}

void AppendTarEnd(std::string& archive) {
  archive.append(2 * kBlock, '\0');
}

}  // namespace sweep
