#include "trainer/make_shards.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <png.h>

#include <algorithm>
#include <memory>

#include "core/csv.h"
#include "core/data_options.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/printable.h"
#include "trainer/data_file.h"
#include "trainer/image.h"
#include "trainer/pair_source.h"
#include "trainer/parallel.h"
#include "trainer/shard_index.h"
#include "trainer/tar.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

constexpr const char* kListFile = "make_shards.json";
constexpr size_t kMostShown = 200;      // bytes of a text in a message
constexpr int64_t kLoadedAtOnce = 256;  // images in memory beside their shard

struct ImageAndCaption {
  fs::path image;
  std::string caption;
};

std::string ExtensionOf(const fs::path& image) {
  std::string extension = image.extension().string();
  if (!extension.empty()) extension.erase(0, 1);
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

std::string ReadImage(const fs::path& path) {
  if (!fs::exists(path))
    throw Failure(FailureCode::kData, fmt::format("image {} is missing", path.string()));
  return ReadDataFile(path, kMostImageBytes);
}

// Captions are texts; other encodings would be taken for noise by every tokenizer.
std::string JsonOf(const ImageAndCaption& pair) {
  try {
    return Json::array({pair.image.string(), pair.caption}).dump();
  } catch (const Json::exception&) {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: its name or caption is not UTF-8: {}",
                              Printable(pair.image.string()),
                              Printable(pair.caption, kMostShown)));
  }
}

// The content id of the JSON array of all pairs, which may be too many to hold as such.
std::string IdentityOf(const std::vector<ImageAndCaption>& pairs) {
  return ContentIdOfText([&](const TextSink& write) {
    write("[");
    for (size_t i = 0; i < pairs.size(); ++i) {
      if (i > 0) write(",");
      write(JsonOf(pairs[i]));
    }
    write("]");
  });
}

PairList ListOf(std::vector<ImageAndCaption> pairs) {
  PairList list;
  list.count = static_cast<int64_t>(pairs.size());
  list.content = IdentityOf(pairs);
  list.load = [pairs = std::move(pairs)](int64_t number) -> ShardPair {
    const auto& [image, caption] = pairs[static_cast<size_t>(number)];
    return {ExtensionOf(image), ReadImage(image), caption, image.string()};
  };
  return list;
}

size_t ColumnOf(const CsvReader& table, const std::string& name, const std::string& origin) {
  const std::vector<std::string>& columns = table.columns();
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (found == columns.end()) {
    throw Failure(FailureCode::kData,
                  fmt::format("{}:1: has no column '{}', only {}",
                              origin,
                              name,
                              Printable(fmt::format("{}", fmt::join(columns, ", ")))));
  }
  return static_cast<size_t>(found - columns.begin());
}

// A square grey picture.
std::string EncodePng(const std::vector<uint8_t>& pixels, int64_t side) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(side);
  image.height = static_cast<png_uint_32>(side);
  image.format = PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string file(size, '\0');
  if (png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr) == 0)
    throw Failure(FailureCode::kInternal, fmt::format("cannot write a PNG: {}", image.message));
  file.resize(size);
  return file;
}

// What the shards of a folder were made of, so that a repeated call cannot mix two lists.
void ClaimFolder(const PairList& pairs, int64_t per_shard, const fs::path& folder) {
  MakeDirectories(folder);
  const Json claim = {{"pairs", pairs.content}, {"count", pairs.count}, {"per_shard", per_shard}};
  const fs::path file = folder / kListFile;
  if (!PublishFileOnce(file, claim.dump() + "\n") && ReadJsonFile(file.string()) != claim) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("{} has shards of another list or size; choose another folder",
                              folder.string()));
  }
}

// Pairs on their way into shards, without those that training could not use.
class Packer {
 public:
  Packer(const PairList& pairs,
         int64_t threads,
         const std::function<void(const std::string&)>& warn)
      : pairs_(pairs), threads_(threads), warn_(warn) {}

  std::string ShardBytes(int64_t begin, int64_t end) {
    std::string archive;
    for (int64_t first = begin; first < end; first += kLoadedAtOnce)
      Append(first, std::min(first + kLoadedAtOnce, end), archive);
    if (archive.empty())
      throw Failure(FailureCode::kData, "none of a shard's images can be used: " + last_);
    AppendTarEnd(archive);
    return archive;
  }

 private:
  struct Checked {
    ShardPair pair;
    std::string problem;
  };

  void Append(int64_t begin, int64_t end, std::string& archive) {
    std::vector<Checked> loaded(static_cast<size_t>(end - begin));
    ForEachInParallel(end - begin, threads_, [&](int64_t i) {
      loaded[static_cast<size_t>(i)] = Load(begin + i);
    });
    for (int64_t number = begin; number < end; ++number) {
      const auto& [pair, problem] = loaded[static_cast<size_t>(number - begin)];
      if (!problem.empty()) {
        LeaveOut(pair, problem);
        continue;
      }
      const std::string key = fmt::format("{:09}", number);
      AppendTarMember(key + "." + pair.extension, pair.image, archive);
      AppendTarMember(key + ".txt", pair.caption, archive);
    }
  }

  [[nodiscard]] Checked Load(int64_t number) const {
    Checked checked{pairs_.load(number), ""};
    // At the least scale, which is the fastest.
    if (!checked.pair.name.empty()) (void)DecodeImage(checked.pair.image, 1, checked.problem);
    return checked;
  }

  void LeaveOut(const ShardPair& pair, const std::string& problem) {
    last_ = fmt::format("{}: {}", pair.name, problem);
    const int64_t most = MostUnusable(pairs_.count);
    if (++left_out_ > most) {
      throw Failure(
          FailureCode::kData,
          fmt::format(
              "more than {} of {} images cannot be used, the last: {}", most, pairs_.count, last_));
    }
    warn_("left out " + last_);
  }

  const PairList& pairs_;
  int64_t threads_;
  const std::function<void(const std::string&)>& warn_;
  int64_t left_out_ = 0;
  std::string last_;
};

}  // namespace

PairList PairsOfTable(const fs::path& file,
                      const std::string& image_column,
                      const std::string& caption_column) {
  const std::string origin = file.string();
  FileReader content(file, FileKind::kAny);
  CsvReader table([&](char* buffer, size_t size) { return content.Read(buffer, size); }, origin);
  const size_t image_at = ColumnOf(table, image_column, origin);
  const size_t caption_at = ColumnOf(table, caption_column, origin);
  const fs::path folder = fs::absolute(file).parent_path();
  std::vector<ImageAndCaption> pairs;
  for (std::vector<std::string> row; table.Next(row);) {
    const fs::path image = folder / row[image_at];
    if (!IsImageExtension(ExtensionOf(image))) {
      throw Failure(FailureCode::kData,
                    fmt::format("{}:{}: image '{}', expected a jpg, jpeg, png or webp file",
                                origin,
                                table.line(),
                                Printable(row[image_at], kMostShown)));
    }
    pairs.push_back({image.lexically_normal(), std::move(row[caption_at])});
  }
  if (pairs.empty())
    throw Failure(FailureCode::kData, fmt::format("{}:1: no rows below a header", origin));
  return ListOf(std::move(pairs));
}

PairList PairsOfFolder(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw Failure(FailureCode::kUsage, fmt::format("there is no folder {}", folder.string()));
  std::vector<fs::path> images;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && IsImageExtension(ExtensionOf(entry.path())))
      images.push_back(fs::absolute(entry.path()).lexically_normal());
  }
  if (images.empty())
    throw Failure(FailureCode::kData, fmt::format("{} has no images", folder.string()));
  std::sort(images.begin(), images.end());
  std::vector<ImageAndCaption> pairs;
  for (const fs::path& image : images) {
    const fs::path caption = fs::path(image).replace_extension(".txt");
    if (!fs::exists(caption)) {
      throw Failure(
          FailureCode::kData,
          fmt::format("{} has no caption: {} is missing", image.string(), caption.string()));
    }
    pairs.push_back({image, ReadDataFile(caption, kMostCaptionBytes)});
  }
  return ListOf(std::move(pairs));
}

PairList PairsOfFashionScenes(const fs::path& location,
                              const std::string& content,
                              int64_t canvas,
                              int64_t count) {
  RunSpec spec;
  spec.data = {kFashionScenes, content, count, {{"canvas", canvas}}};
  spec.model.vision.image_size = canvas;
  DataLibrary library(std::map<std::string, std::string>{{content, location.string()}});
  const std::shared_ptr<PairSource> source = OpenPairSource(spec, library);
  PairList list;
  list.count = count;
  list.content = ContentId({content, canvas});
  list.load = [source](int64_t number) -> ShardPair {
    const int64_t side = source->image_size();
    std::vector<uint8_t> pixels(static_cast<size_t>(side * side));
    std::string caption = source->Load(number, Random(0), pixels);
    return {"png", EncodePng(pixels, side), std::move(caption), ""};
  };
  return list;
}

void MakeShards(const PairList& pairs,
                int64_t per_shard,
                const fs::path& folder,
                int64_t threads,
                const std::function<void(const std::string&)>& warn) {
  ClaimFolder(pairs, per_shard, folder);
  Packer packer(pairs, threads, warn);
  for (int64_t begin = 0; begin < pairs.count; begin += per_shard) {
    const fs::path shard = folder / fmt::format("{:05}.tar", begin / per_shard);
    if (fs::exists(shard)) continue;
    WriteFileAtomic(shard, packer.ShardBytes(begin, std::min(begin + per_shard, pairs.count)));
  }
}

}  // namespace sweep
