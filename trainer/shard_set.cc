#include "trainer/shard_set.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

#include "core/failure.h"
#include "core/json_fields.h"
#include "core/printable.h"
#include "trainer/data_file.h"
#include "trainer/random_access_file.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kTarBlock = 512;
constexpr size_t kTarNameSize = 100;

// Of a set of a million shards it has 200 MB.
ShardIndex ParseIndex(const std::string& origin) {
  const std::string text = ReadDataFile(origin, kMostFileBytes);
  try {
    return FieldsFromJson<ShardIndex>(ParseJson(text, origin), origin);
  } catch (const Malformed& malformed) {
    throw Failure(FailureCode::kData, malformed.what());
  }
}

// Samples are looked up by these numbers.
void CheckCounts(const ShardIndex& index, const std::string& origin) {
  int64_t sum = 0;
  bool sound = true;
  for (const ShardSource& source : index.sources) {
    for (const Shard& shard : source.shards) {
      sound = sound && shard.samples >= 0 && shard.bytes >= 0 &&
              !__builtin_add_overflow(sum, shard.samples, &sum);
    }
  }
  const auto is_part = [&](int64_t count) { return count >= 0 && count <= index.samples; };
  if (sound && sum == index.samples && is_part(index.captions) && is_part(index.labels)) return;
  throw Failure(FailureCode::kData,
                fmt::format("{}: {} samples, {} captions and {} labels, which do not fit the {} of "
                            "its shards",
                            origin,
                            index.samples,
                            index.captions,
                            index.labels,
                            sum));
}

ShardIndex ReadIndex(const fs::path& folder, const std::string& content) {
  const std::string origin = (folder / kShardIndexFile).string();
  if (!fs::exists(origin)) {
    throw Failure(
        FailureCode::kData,
        fmt::format("{} is missing; make the index with: clip_train index_shards", origin));
  }
  auto index = ParseIndex(origin);
  if (index.schema != ShardIndex().schema) {
    throw Failure(
        FailureCode::kData,
        fmt::format("{}: schema '{}', expected '{}'", origin, index.schema, ShardIndex().schema));
  }
  if (const std::string found = ContentIdOf(index); found != content) {
    throw Failure(FailureCode::kData,
                  fmt::format("{}: content id is {}, expected {}", origin, found, content));
  }
  CheckCounts(index, origin);
  return index;
}

void CheckShard(const fs::path& path, int64_t bytes) {
  std::error_code absent;
  const auto found = fs::file_size(path, absent);
  if (!absent && static_cast<int64_t>(found) == bytes) return;
  throw Failure(FailureCode::kData,
                absent ? fmt::format("shard {} is missing", path.string())
                       : fmt::format("shard {} has {} bytes, expected the {} it had when it was "
                                     "indexed",
                                     path.string(),
                                     found,
                                     bytes));
}

}  // namespace

// The table of all samples, mapped: of billions only the pages in use are in memory.
class ShardSet::MappedSamples {
 public:
  MappedSamples(const fs::path& path, int64_t count) {
    const FileReader file = OpenDataFile(path);
    bytes_ = static_cast<size_t>(file.size());
    const bool whole = count > 0 && bytes_ % sizeof(ShardSample) == 0 &&
                       bytes_ / sizeof(ShardSample) == static_cast<size_t>(count);
    if (whole) address_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file.fd(), 0);
    if (!whole || address_ == MAP_FAILED) {
      throw Failure(
          FailureCode::kData,
          fmt::format(
              "cannot use {} of {} bytes, expected {} samples", path.string(), bytes_, count));
    }
  }
  ~MappedSamples() { ::munmap(address_, bytes_); }
  MappedSamples(const MappedSamples&) = delete;
  MappedSamples& operator=(const MappedSamples&) = delete;

  [[nodiscard]] const ShardSample& at(int64_t number) const {
    return static_cast<const ShardSample*>(address_)[number];
  }

 private:
  size_t bytes_ = 0;
  void* address_ = nullptr;
};

ShardSet::ShardSet(const fs::path& folder, const std::string& content)
    : folder_(folder), index_(ReadIndex(folder, content)), first_sample_{0} {
  for (size_t source = 0; source < index_.sources.size(); ++source) {
    for (const Shard& shard : index_.sources[source].shards) {
      paths_.push_back((fs::absolute(folder) / shard.path).lexically_normal());
      CheckShard(paths_.back(), shard.bytes);
      source_.push_back(source);
      first_sample_.push_back(first_sample_.back() + shard.samples);
    }
  }
  samples_ = std::make_unique<MappedSamples>(folder / kShardSamplesFile, first_sample_.back());
}

ShardSet::~ShardSet() = default;

const ShardSample& ShardSet::sample(int64_t number) const {
  return samples_->at(number);
}

size_t ShardSet::ShardOf(int64_t number) const {
  const auto after = std::upper_bound(first_sample_.begin(), first_sample_.end(), number);
  return static_cast<size_t>(after - first_sample_.begin()) - 1;
}

// A shard is opened for each read: more of them than a process may have open is usual, and next to
// decoding an image it costs nothing.
std::string ShardSet::Read(int64_t number, uint64_t offset, uint32_t bytes) const {
  return RandomAccessFile(paths_[ShardOf(number)]).Read(static_cast<int64_t>(offset), bytes);
}

std::string ShardSet::ReadImage(int64_t number) const {
  const ShardSample& found = sample(number);
  return Read(number, found.image_at, CheckSize(number, found.image_bytes, kMostImageBytes));
}

std::string ShardSet::ReadCaption(int64_t number) const {
  const ShardSample& found = sample(number);
  return Read(number, found.text_at, CheckSize(number, found.text_bytes, kMostCaptionBytes));
}

// A damaged table must not be able to ask for all memory.
uint32_t ShardSet::CheckSize(int64_t number, uint32_t bytes, int64_t most) const {
  if (bytes <= most) return bytes;
  throw Failure(FailureCode::kData,
                fmt::format("{}: sample {} of {} bytes, expected at most {}",
                            (folder_ / kShardSamplesFile).string(),
                            number,
                            bytes,
                            most));
}

std::vector<ShardSet::Extent> ShardSet::ExtentsOf(int64_t first, int64_t count) const {
  std::vector<Extent> extents;
  const int64_t end = std::min(first + count, size());
  while (first < end) {
    const size_t shard = ShardOf(first);
    const int64_t after = std::min(end, first_sample_[shard + 1]);
    const ShardSample& from = sample(first);
    const ShardSample& to = sample(after - 1);
    const uint64_t begin =
        from.text_at == 0 ? from.image_at : std::min(from.image_at, from.text_at);
    const uint64_t stop = std::max(to.image_at + to.image_bytes, to.text_at + to.text_bytes);
    extents.push_back(
        {paths_[shard], static_cast<int64_t>(begin), static_cast<int64_t>(stop - begin)});
    first = after;
  }
  return extents;
}

void ShardSet::ReadAhead(int64_t first, int64_t count) const {
  for (const Extent& extent : ExtentsOf(first, count))
    RandomAccessFile(extent.path).ReadAhead(extent.offset, extent.bytes);
}

// The name stands in the block before the image, or, if it is long, its beginning.
std::string ShardSet::NameOf(int64_t number) const {
  const std::string block = Read(number, sample(number).image_at - kTarBlock, kTarNameSize);
  return paths_[ShardOf(number)].string() + ": " + Printable(block.c_str());
}

ShardSet::Order::Order(const ShardSet& set, int64_t seed) : set_(set), first_pair_{0} {
  const auto count = static_cast<int64_t>(set.paths_.size());
  Random key(seed);
  const uint64_t shard_key = key.Next();
  for (int64_t i = 0; i < count; ++i) {
    const auto shard = static_cast<size_t>(ShuffledIndex(i, count, shard_key));
    shards_.push_back(shard);
    first_pair_.push_back(first_pair_.back() + set.first_sample_[shard + 1] -
                          set.first_sample_[shard]);
  }
}

int64_t ShardSet::Order::SampleOf(int64_t pair) const {
  const auto after = std::upper_bound(first_pair_.begin(), first_pair_.end(), pair);
  const auto place = static_cast<size_t>(after - first_pair_.begin()) - 1;
  return set_.first_sample_[shards_[place]] + pair - first_pair_[place];
}

std::vector<ResampledOrder::PairRun> ShardSet::Order::Runs(
    int64_t pairs, const std::vector<double>& weights) const {
  std::vector<ResampledOrder::PairRun> runs;
  for (size_t place = 0; place < shards_.size() && first_pair_[place] < pairs; ++place) {
    const size_t source = set_.source_[shards_[place]];
    runs.push_back({first_pair_[place],
                    std::min(first_pair_[place + 1], pairs) - first_pair_[place],
                    weights.empty() ? 1 : weights[source]});
  }
  return runs;
}

}  // namespace sweep
