#include "trainer/shard_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <mutex>
#include <optional>

#include "core/failure.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json_fields.h"
#include "core/printable.h"
#include "trainer/parallel.h"

namespace sweep {
namespace {

namespace fs = std::filesystem;
using Warn = std::function<void(const std::string&)>;

constexpr int64_t kMostShards = 10'000'000;  // of one range

// Where the brace at `open` is closed, npos if nowhere.
size_t ClosingBrace(const std::string& text, size_t open) {
  int depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  return std::string::npos;
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    if (c == '{') ++depth;
    if (c == '}') --depth;
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::optional<int64_t> WholeNumber(std::string_view text) {
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

// "08..11" to "08", "09", "10", "11"; nothing if it is no range.
std::vector<std::string> Range(const std::string& text) {
  const size_t dots = text.find("..");
  if (dots == text.npos) return {};
  const auto first = WholeNumber(std::string_view(text).substr(0, dots));
  const auto last = WholeNumber(std::string_view(text).substr(dots + 2));
  if (!first || !last || *first < 0 || *last < *first) return {};
  const int64_t steps = *last - *first;
  if (steps >= kMostShards) {
    throw Failure(FailureCode::kUsage,
                  fmt::format("'{{{}}}' are more than {} shards", text, kMostShards));
  }
  std::vector<std::string> numbers;
  for (int64_t step = 0; step <= steps; ++step)
    numbers.push_back(fmt::format("{:0{}}", *first + step, dots));
  return numbers;
}

// "a/b.c.jpg" to "a/b" and "c.jpg".
std::pair<std::string, std::string> KeyAndExtension(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == name.npos ? 0 : slash + 1);
  if (dot == name.npos) return {name, ""};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

// One sample as its members are met.
class SampleReader {
 public:
  SampleReader(const RandomAccessFile& shard, const Warn& warn) : shard_(shard), warn_(warn) {}

  void Add(const TarMember& member) {
    auto [key, extension] = KeyAndExtension(member.name);
    if (key != key_) Finish();
    key_ = std::move(key);
    if (member.bytes > (extension == "txt" ? kMostCaptionBytes : kMostImageBytes)) {
      warn_(fmt::format("{}: has {} bytes, too many", Printable(member.name), member.bytes));
    } else if (IsImageExtension(extension)) {
      sample_.image_at = static_cast<uint64_t>(member.offset);
      sample_.image_bytes = static_cast<uint32_t>(member.bytes);
    } else if (extension == "txt") {
      sample_.text_at = static_cast<uint64_t>(member.offset);
      sample_.text_bytes = static_cast<uint32_t>(member.bytes);
    } else if (extension == "cls") {
      sample_.label = ReadLabel(member);
    }
  }

  std::vector<ShardSample> Take() {
    Finish();
    return std::move(samples_);
  }

 private:
  void Finish() {
    const bool image = sample_.image_at != 0;
    if (image && (sample_.text_at != 0 || sample_.label >= 0)) {
      samples_.push_back(sample_);
    } else if (!key_.empty()) {
      warn_(
          fmt::format("{}: has no {}", Printable(key_), image ? "caption and no label" : "image"));
    }
    sample_ = {};
    key_.clear();
  }

  int32_t ReadLabel(const TarMember& member) {
    std::string text = shard_.Read(member.offset, std::min<int64_t>(member.bytes, 32));
    text.erase(std::min(text.find_last_not_of(" \n\r") + 1, text.size()));
    const auto label = WholeNumber(text);
    if (label && *label >= 0 && *label <= INT32_MAX) return static_cast<int32_t>(*label);
    warn_(fmt::format(
        "{}: '{}', expected the number of a class", Printable(member.name), Printable(text)));
    return -1;
  }

  const RandomAccessFile& shard_;
  const Warn& warn_;
  std::string key_;
  ShardSample sample_;
  std::vector<ShardSample> samples_;
};

// One source's shards, by the patterns of its text.
std::vector<std::string> PathsOf(const std::string& source) {
  std::vector<std::string> paths;
  for (size_t at = 0; at <= source.size();) {
    const size_t end = std::min(source.find("::", at), source.size());
    for (std::string& path : ExpandBraces(source.substr(at, end - at)))
      paths.push_back(std::move(path));
    at = end + 2;
  }
  return paths;
}

// Work on one shard and what comes of it.
struct ShardTask {
  size_t source = 0;
  fs::path path;
  Shard shard;
  std::vector<ShardSample> samples;
};

std::vector<ShardTask> PlanTasks(const std::vector<std::string>& sources) {
  std::vector<ShardTask> tasks;
  for (size_t source = 0; source < sources.size(); ++source) {
    for (const std::string& path : PathsOf(sources[source]))
      tasks.push_back({source, fs::absolute(path).lexically_normal(), {}, {}});
  }
  return tasks;
}

void ReadShard(ShardTask& task, const fs::path& folder, const Warn& warn) {
  const RandomAccessFile file(task.path);
  task.samples = ListSamples(file, [&](const std::string& text) {
    warn(fmt::format("{}: {}", task.path.string(), text));
  });
  if (task.samples.empty()) {
    throw Failure(
        FailureCode::kData,
        fmt::format("{}: has no sample, expected an uncompressed tar file with images and "
                    "captions (txt) or labels (cls) of the same names",
                    task.path.string()));
  }
  task.shard = {task.path.lexically_relative(folder).string(),
                file.size(),
                Sha256HexOfFile(task.path),
                static_cast<int64_t>(task.samples.size())};
}

void Count(const std::vector<ShardSample>& samples, ShardIndex& index) {
  for (const ShardSample& sample : samples) {
    ++index.samples;
    index.captions += sample.text_at != 0 ? 1 : 0;
    index.labels += sample.label >= 0 ? 1 : 0;
  }
}

void AppendBytes(const std::vector<ShardSample>& samples, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(ShardSample));
}

void Publish(const ShardIndex& index, const std::string& samples, const fs::path& folder) {
  const fs::path partial = folder.string() + ".partial";
  fs::remove_all(partial);
  MakeDirectories(partial);
  WriteFileAtomic(partial / kShardSamplesFile, samples);
  WriteFileAtomic(partial / kShardIndexFile, FieldsToJson(index).dump(1) + "\n");
  fs::rename(partial, folder);
  SyncDirectory(folder.parent_path());
}

}  // namespace

std::string ContentIdOf(const ShardIndex& index) {
  Json sources = Json::array();
  for (const ShardSource& source : index.sources) {
    Json shards = Json::array();
    for (const Shard& shard : source.shards) shards.push_back(shard.sha256);
    sources.push_back(std::move(shards));
  }
  if (index.classes.empty()) return ContentId(sources);
  return ContentId(
      {{"sources", sources}, {"classes", index.classes}, {"templates", index.templates}});
}

bool IsImageExtension(std::string_view extension) {
  constexpr std::array<std::string_view, 4> kKnown = {"jpg", "jpeg", "png", "webp"};
  return std::find(kKnown.begin(), kKnown.end(), extension) != kKnown.end();
}

std::vector<std::string> ExpandBraces(const std::string& pattern) {
  for (size_t open = pattern.find('{'); open != pattern.npos; open = pattern.find('{', open + 1)) {
    const size_t close = ClosingBrace(pattern, open);
    if (close == pattern.npos) break;
    const std::string inside = pattern.substr(open + 1, close - open - 1);
    std::vector<std::string> choices = SplitAtCommas(inside);
    if (choices.size() == 1) choices = Range(inside);
    if (choices.empty()) continue;
    std::vector<std::string> expanded;
    for (const std::string& choice : choices) {
      const std::string text = pattern.substr(0, open) + choice + pattern.substr(close + 1);
      for (std::string& whole : ExpandBraces(text)) expanded.push_back(std::move(whole));
    }
    return expanded;
  }
  return {pattern};
}

std::vector<ShardSample> ListSamples(const RandomAccessFile& shard, const Warn& warn) {
  TarReader tar(shard);
  SampleReader samples(shard, warn);
  while (const auto member = tar.Next()) samples.Add(*member);
  if (!tar.problem().empty()) warn(tar.problem() + "; what follows is left out");
  return samples.Take();
}

ShardIndex IndexShards(const IndexShardsOptions& options, const Warn& warn) {
  if (fs::exists(options.output)) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("{} is there already; an index is made once", options.output.string()));
  }
  const fs::path folder = fs::absolute(options.output).lexically_normal();
  std::vector<ShardTask> tasks = PlanTasks(options.sources);
  std::mutex mutex;
  const Warn warn_in_turn = [&](const std::string& text) {
    const std::lock_guard lock(mutex);
    warn(text);
  };
  ForEachInParallel(static_cast<int64_t>(tasks.size()), options.threads, [&](int64_t i) {
    ReadShard(tasks[static_cast<size_t>(i)], folder, warn_in_turn);
  });
  ShardIndex index;
  index.classes = options.classes;
  index.templates = options.templates;
  std::string samples;
  for (ShardTask& task : tasks) {
    index.sources.resize(task.source + 1);
    index.sources[task.source].shards.push_back(std::move(task.shard));
    Count(task.samples, index);
    AppendBytes(task.samples, samples);
  }
  Publish(index, samples, folder);
  return index;
}

}  // namespace sweep
