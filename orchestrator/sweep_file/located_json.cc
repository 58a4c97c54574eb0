#include "orchestrator/sweep_file/located_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

namespace sweep {
namespace {

constexpr size_t kMostDepth = 64;

// Follows the lexer through the text and remembers where the last value or key began. nlohmann's
// events come after a token, and after one byte more for a number, so its start has to be kept.
class TokenTracker {
 public:
  void Take(char c) {
    if (in_string_) {
      TakeInString(c);
    } else if (c == '"') {
      start_ = here_;
      in_string_ = true;
      in_literal_ = false;
    } else if (c == '{' || c == '[') {
      start_ = here_;
      in_literal_ = false;
    } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ':' ||
               c == '}' || c == ']') {
      in_literal_ = false;
    } else {
      if (!in_literal_) start_ = here_;
      in_literal_ = true;
    }
    Advance(c);
  }
  [[nodiscard]] SourcePosition start() const { return start_; }

 private:
  void TakeInString(char c) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
    }
  }
  void Advance(char c) {
    if (c == '\n') {
      ++here_.line;
      here_.column = 1;
    } else {
      ++here_.column;
    }
  }

  SourcePosition here_;
  SourcePosition start_;
  bool in_string_ = false;
  bool escaped_ = false;
  bool in_literal_ = false;
};

// Walks over the text and tells the tracker of every byte it passes.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, TokenTracker* tracker) : at_(at), tracker_(tracker) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    tracker_->Take(*at_);
    ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  TokenTracker* tracker_;
};

SourcePosition PositionAtOffset(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1,
          before.size() - line_begin + 1};
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing
// value - WHAT": only WHAT is news to the reader.
std::string WhatIsWrong(std::string message) {
  constexpr std::string_view kBeforeWhat = " - ";
  if (const size_t at = message.find(kBeforeWhat); at != std::string::npos) {
    message.erase(0, at + kBeforeWhat.size());
  }
  constexpr size_t kMostCharacters = 200;
  if (message.size() > kMostCharacters) message = message.substr(0, kMostCharacters) + "…";
  return message;
}

class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text,
          std::string file,
          const TokenTracker& tracker,
          ProblemList& problems,
          std::map<std::string, SourcePosition, std::less<>>& positions)
      : text_(text),
        file_(std::move(file)),
        tracker_(tracker),
        problems_(problems),
        positions_(positions) {}

  [[nodiscard]] Json TakeRoot() { return std::move(root_); }

  bool null() override { return Scalar(nullptr); }
  bool boolean(bool value) override { return Scalar(value); }
  bool number_integer(number_integer_t value) override { return Scalar(value); }
  bool number_unsigned(number_unsigned_t value) override { return Scalar(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return Scalar(value);
  }
  bool string(string_t& value) override { return Scalar(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }  // not a part of JSON text
  bool start_object(std::size_t /*size*/) override { return Open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    key_ = name;
    key_position_ = tracker_.start();
    const std::string pointer = PointerTo(open_.back().pointer, name);
    if (open_.back().value->contains(name)) {
      const size_t first_line = positions_.find(pointer)->second.line;
      Report(
          key_position_,
          pointer,
          fmt::format("key '{}' is given twice in one object, first in line {}", name, first_line));
    }
    return true;
  }

  bool parse_error(std::size_t position,
                   const std::string& /*last_token*/,
                   const nlohmann::detail::exception& error) override {
    const SourcePosition at = PositionAtOffset(text_, position == 0 ? 0 : position - 1);
    Report(
        at, "", fmt::format("column {}: not valid JSON: {}", at.column, WhatIsWrong(error.what())));
    return false;
  }

 private:
  struct Container {
    Json* value;
    std::string pointer;
  };

  bool Scalar(Json value) {
    Place(std::move(value));
    return true;
  }

  bool Open(Json empty) {
    if (open_.size() == kMostDepth) {
      Report(tracker_.start(), "", fmt::format("nested more than {} deep", kMostDepth));
      return false;
    }
    std::string pointer = NextPointer();
    Json* placed = Place(std::move(empty));
    open_.push_back({placed, std::move(pointer)});
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  [[nodiscard]] std::string NextPointer() const {
    if (open_.empty()) return {};
    const Container& parent = open_.back();
    return parent.value->is_object() ? PointerTo(parent.pointer, key_)
                                     : PointerTo(parent.pointer, parent.value->size());
  }

  // A member's position is its key's: that is where a reader looks for it.
  Json* Place(Json value) {
    const bool is_member = !open_.empty() && open_.back().value->is_object();
    positions_.insert_or_assign(NextPointer(), is_member ? key_position_ : tracker_.start());
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back().value;
    if (is_member) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  void Report(SourcePosition at, const std::string& pointer, std::string message) {
    problems_.Add({FileProblem::Severity::kError, file_, at, pointer, std::move(message)});
  }

  std::string_view text_;
  std::string file_;
  const TokenTracker& tracker_;
  ProblemList& problems_;
  std::map<std::string, SourcePosition, std::less<>>& positions_;
  Json root_;
  std::vector<Container> open_;  // from the document down to the innermost open value
  std::string key_;
  SourcePosition key_position_;
};

}  // namespace

SourcePosition LocatedJson::PositionOf(const std::string& pointer) const {
  std::string_view rest = pointer;
  while (true) {
    if (const auto found = positions_.find(rest); found != positions_.end()) return found->second;
    const size_t slash = rest.rfind('/');
    if (slash == std::string_view::npos) return {};
    rest = rest.substr(0, slash);
  }
}

FileProblem LocatedJson::Error(const std::string& pointer, std::string message) const {
  return {FileProblem::Severity::kError, file_, PositionOf(pointer), pointer, std::move(message)};
}

FileProblem LocatedJson::Warning(const std::string& pointer, std::string message) const {
  return {FileProblem::Severity::kWarning, file_, PositionOf(pointer), pointer, std::move(message)};
}

LocatedJson ParseLocatedJson(std::string_view text,
                             const std::string& file,
                             ProblemList& problems) {
  LocatedJson located;
  located.file_ = file;
  TokenTracker tracker;
  Builder builder(text, file, tracker, problems, located.positions_);
  const char* const begin = text.data();
  const bool parsed = Json::sax_parse(
      CountingIterator(begin, &tracker), CountingIterator(begin + text.size(), &tracker), &builder);
  if (parsed) located.value_ = builder.TakeRoot();
  return located;
}

std::string PointerTo(const std::string& pointer, std::string_view key) {
  std::string extended = pointer + "/";
  for (const char c : key) {
    if (c == '~') {
      extended += "~0";
    } else if (c == '/') {
      extended += "~1";
    } else {
      extended += c;
    }
  }
  return extended;
}

std::string PointerTo(const std::string& pointer, size_t index) {
  return fmt::format("{}/{}", pointer, index);
}

}  // namespace sweep
