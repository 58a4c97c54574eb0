#include "core/hash.h"

#include <openssl/evp.h>
#include <zlib.h>

#include <array>
#include <memory>
#include <vector>

#include "core/read_file.h"

namespace sweep {
namespace {

constexpr size_t kIdDigits = 32;

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    // EVP_sha256() would be looked up among OpenSSL's providers each time, which takes longer than
    // hashing a spec.
    static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    EVP_DigestInit_ex(context_.get(), sha256, nullptr);
  }
  void Update(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string Hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    for (unsigned i = 0; i < size; ++i) {
      hex += kDigits[digest[i] >> 4U];
      hex += kDigits[digest[i] & 15U];
    }
    return hex;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  Sha256 sha;
  sha.Update(bytes.data(), bytes.size());
  return sha.Hex();
}

std::string Sha256HexOfFile(const std::filesystem::path& path) {
  FileReader file(path);
  Sha256 sha;
  std::vector<char> buffer(1 << 20);
  while (const size_t got = file.Read(buffer.data(), buffer.size())) sha.Update(buffer.data(), got);
  return sha.Hex();
}

std::string ContentId(Json value) {
  return ContentIdOfText(CanonicalDump(std::move(value)));
}

std::string ContentIdOfText(std::string_view canonical_json) {
  return Sha256Hex(canonical_json).substr(0, kIdDigits);
}

std::string ContentIdOfText(const TextSource& canonical_json) {
  Sha256 sha;
  canonical_json([&](std::string_view piece) { sha.Update(piece.data(), piece.size()); });
  return sha.Hex().substr(0, kIdDigits);
}

std::string ContentIdOfFile(const std::filesystem::path& path) {
  return Sha256HexOfFile(path).substr(0, kIdDigits);
}

uint32_t Crc32(std::string_view bytes) {
  return static_cast<uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace sweep
