#include "trainer/image.h"

#include <fmt/format.h>
// After <cstdio>, which jpeglib.h needs and does not include.
#include <jerror.h>
#include <jpeglib.h>
#include <png.h>
#include <webp/decode.h>

#include <algorithm>
#include <array>
#include <csetjmp>

namespace sweep {
namespace {

// PIL refuses larger ones too: a small file must not be able to ask for all memory.
constexpr int64_t kMostPixels = 178'956'970;

// Of the size in the file's header, before a decoder may scale it down: it computes with all of them.
bool IsSmallEnough(int64_t width, int64_t height, std::string& problem) {
  if (width * height <= kMostPixels) return true;
  problem = fmt::format("{} x {} pixels are too many", width, height);
  return false;
}

bool Allocate(int64_t width, int64_t height, Image& image, std::string& problem) {
  if (!IsSmallEnough(width, height, problem)) return false;
  image.width = width;
  image.height = height;
  image.rgb_HWC.resize(static_cast<size_t>(3 * width * height));
  return true;
}

// libjpeg reports errors by a call that must not return.
struct JpegErrors {
  jpeg_error_mgr manager{};
  std::jmp_buf escape{};
  std::array<char, JMSG_LENGTH_MAX> message{};
  bool cut_off = false;
};

JpegErrors& ErrorsOf(j_common_ptr jpeg) {
  return *static_cast<JpegErrors*>(jpeg->client_data);
}

void FailJpeg(j_common_ptr jpeg) {
  JpegErrors& errors = ErrorsOf(jpeg);
  errors.manager.format_message(jpeg, errors.message.data());
  std::longjmp(errors.escape, 1);
}

void NoteJpegWarning(j_common_ptr jpeg, int /*level*/) {
  if (jpeg->err->msg_code == JWRN_JPEG_EOF) ErrorsOf(jpeg).cut_off = true;
}

// A reader of one JPEG file. Each step is a function that touches nothing with a destructor after
// setjmp, because longjmp would pass it over.
class JpegReader {
 public:
  JpegReader() {
    jpeg_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = FailJpeg;
    errors_.manager.emit_message = NoteJpegWarning;
    jpeg_.client_data = &errors_;
    jpeg_create_decompress(&jpeg_);
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  bool ReadHeader(std::string_view file, int64_t least_side) {
    if (setjmp(errors_.escape) != 0) return false;
    jpeg_mem_src(&jpeg_,
                 reinterpret_cast<const unsigned char*>(file.data()),
                 static_cast<unsigned long>(file.size()));
    jpeg_read_header(&jpeg_, TRUE);
    jpeg_.out_color_space = inked() ? JCS_CMYK : JCS_RGB;
    jpeg_.scale_denom = 8;
    jpeg_.scale_num = ScaleFor(least_side);
    jpeg_calc_output_dimensions(&jpeg_);
    return true;
  }

  // `pixels` has room for channels() bytes a pixel.
  bool ReadPixels(uint8_t* pixels) {
    if (setjmp(errors_.escape) != 0) return false;
    jpeg_start_decompress(&jpeg_);
    const size_t stride = channels() * jpeg_.output_width;
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = pixels + jpeg_.output_scanline * stride;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    return !errors_.cut_off;
  }

  [[nodiscard]] int64_t full_width() const { return jpeg_.image_width; }
  [[nodiscard]] int64_t full_height() const { return jpeg_.image_height; }
  [[nodiscard]] int64_t width() const { return jpeg_.output_width; }
  [[nodiscard]] int64_t height() const { return jpeg_.output_height; }
  [[nodiscard]] bool inked() const {
    return jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK;
  }
  [[nodiscard]] size_t channels() const { return inked() ? 4 : 3; }
  [[nodiscard]] std::string problem() const {
    return errors_.cut_off ? "JPEG is cut off" : std::string("JPEG: ") + errors_.message.data();
  }

 private:
  // Eighths of the size: the inverse transform computes only the pixels that are kept.
  [[nodiscard]] unsigned ScaleFor(int64_t least_side) const {
    if (least_side <= 0) return 8;
    const int64_t side = std::min(jpeg_.image_width, jpeg_.image_height);
    for (const unsigned eighths : {1U, 2U, 4U}) {
      if (side * eighths >= least_side * 8) return eighths;
    }
    return 8;
  }

  jpeg_decompress_struct jpeg_{};
  JpegErrors errors_;
};

// Files in ink colours have them inverted, as Adobe's programs write them.
void InkToRgb(const std::vector<uint8_t>& cmyk, std::vector<uint8_t>& rgb) {
  for (size_t pixel = 0; 4 * pixel < cmyk.size(); ++pixel) {
    const unsigned light = cmyk[4 * pixel + 3];
    for (size_t c = 0; c < 3; ++c) {
      const unsigned product = (255U - cmyk[4 * pixel + c]) * light + 128U;
      rgb[3 * pixel + c] = static_cast<uint8_t>(light - ((product + (product >> 8U)) >> 8U));
    }
  }
}

bool DecodeJpeg(std::string_view file, int64_t least_side, Image& image, std::string& problem) {
  JpegReader reader;
  bool whole = reader.ReadHeader(file, least_side);
  if (whole && !IsSmallEnough(reader.full_width(), reader.full_height(), problem)) return false;
  if (whole && !Allocate(reader.width(), reader.height(), image, problem)) return false;
  if (whole && reader.inked()) {
    std::vector<uint8_t> cmyk(static_cast<size_t>(4 * image.width * image.height));
    whole = reader.ReadPixels(cmyk.data());
    InkToRgb(cmyk, image.rgb_HWC);
  } else if (whole) {
    whole = reader.ReadPixels(image.rgb_HWC.data());
  }
  if (!whole) problem = reader.problem();
  return whole;
}

// As JpegReader, for PNG.
class PngReader {
 public:
  explicit PngReader(std::string_view file)
      : rest_(file),
        png_(png_create_read_struct(
            PNG_LIBPNG_VER_STRING, this, Fail, [](png_structp, png_const_charp) {})),
        info_(png_create_info_struct(png_)) {}
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool ReadHeader() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, this, Read);
    png_read_info(png_, info_);
    png_set_strip_16(png_);
    png_set_expand(png_);
    png_set_gray_to_rgb(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool ReadPixels(uint8_t** rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    return true;
  }

  [[nodiscard]] int64_t width() const { return png_get_image_width(png_, info_); }
  [[nodiscard]] int64_t height() const { return png_get_image_height(png_, info_); }
  [[nodiscard]] std::string problem() const { return "PNG: " + message_; }

 private:
  static void Fail(png_structp png, png_const_charp message) {
    static_cast<PngReader*>(png_get_error_ptr(png))->message_ = message;
    png_longjmp(png, 1);
  }
  static void Read(png_structp png, png_bytep bytes, size_t size) {
    std::string_view& rest = static_cast<PngReader*>(png_get_io_ptr(png))->rest_;
    if (size > rest.size()) png_error(png, "is cut off");
    std::copy_n(rest.begin(), size, bytes);
    rest.remove_prefix(size);
  }

  std::string_view rest_;
  std::string message_;
  png_structp png_;
  png_infop info_;
};

bool DecodePng(std::string_view file, Image& image, std::string& problem) {
  PngReader reader(file);
  bool whole = reader.ReadHeader();
  if (whole && !Allocate(reader.width(), reader.height(), image, problem)) return false;
  if (whole) {
    std::vector<uint8_t*> rows;
    rows.reserve(static_cast<size_t>(image.height));
    for (int64_t row = 0; row < image.height; ++row)
      rows.push_back(image.rgb_HWC.data() + 3 * row * image.width);
    whole = reader.ReadPixels(rows.data());
  }
  if (!whole) problem = reader.problem();
  return whole;
}

bool DecodeWebp(std::string_view file, Image& image, std::string& problem) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes, file.size(), &features) != VP8_STATUS_OK) {
    problem = "WebP: the header is damaged";
    return false;
  }
  if (features.has_animation != 0) {
    problem = "WebP: is animated";
    return false;
  }
  if (!Allocate(features.width, features.height, image, problem)) return false;
  if (WebPDecodeRGBInto(
          bytes, file.size(), image.rgb_HWC.data(), image.rgb_HWC.size(), 3 * features.width))
    return true;
  problem = "WebP: is damaged or cut off";
  return false;
}

bool Decode(std::string_view file, int64_t least_side, Image& image, std::string& problem) {
  if (file.starts_with("\xFF\xD8\xFF")) return DecodeJpeg(file, least_side, image, problem);
  if (file.starts_with("\x89PNG\r\n\x1A\n")) return DecodePng(file, image, problem);
  if (file.starts_with("RIFF") && file.substr(std::min<size_t>(8, file.size())).starts_with("WEBP"))
    return DecodeWebp(file, image, problem);
  problem = "neither JPEG nor PNG nor WebP";
  return false;
}

}  // namespace

std::optional<Image> DecodeImage(std::string_view file, int64_t least_side, std::string& problem) {
  Image image;
  if (!Decode(file, least_side, image, problem)) return std::nullopt;
  return image;
}

}  // namespace sweep
