#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_fields.h"

namespace sweep {

/// The text of CanonicalDump(FieldsToJson(value)), written without the JSON value between: a sweep
/// of a hundred thousand runs hashes several hundred thousand of these.
template <class Struct>
[[nodiscard]] std::string CanonicalFields(const Struct& value);

namespace internal {

class CanonicalFieldWriter {
 public:
  template <class T>
  void operator()(const char* name, T& field) {
    const size_t begin = values_.size();
    Write(field);
    members_.push_back({name, begin, values_.size()});
  }
  template <class T, class Default>
  void operator()(const char* name, T& field, const Default& frozen_default) {
    if (field != T(frozen_default)) (*this)(name, field);
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& field) {
    if (field) (*this)(name, *field);
  }

  [[nodiscard]] std::string Text() {
    std::sort(members_.begin(), members_.end(), [](const Member& a, const Member& b) {
      return a.name < b.name;
    });
    constexpr size_t kPunctuation = 4;  // around a member, less its name
    size_t size = values_.size() + kPunctuation;
    for (const Member& member : members_) size += member.name.size() + kPunctuation;
    std::string text;
    text.reserve(size);
    text += '{';
    for (const Member& member : members_) {
      if (text.size() > 1) text += ',';
      text.append("\"").append(member.name).append("\":");
      text.append(values_, member.begin, member.end - member.begin);
    }
    return text + '}';
  }

 private:
  struct Member {
    std::string_view name;
    size_t begin, end;  // of its value in values_
  };

  template <class T>
  void Write(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      values_ += value ? "true" : "false";
    } else if constexpr (std::is_integral_v<T>) {
      char digits[24];
      values_.append(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
    } else if constexpr (std::is_same_v<T, std::string>) {
      WriteText(value);
    } else if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, Json>) {
      values_ += CanonicalDump(Json(value));
    } else if constexpr (IsVector<T>::value) {
      values_ += '[';
      for (size_t i = 0; i < value.size(); ++i) {
        if (i > 0) values_ += ',';
        Write(value[i]);
      }
      values_ += ']';
    } else if constexpr (IsMap<T>::value) {
      values_ += '{';
      for (auto element = value.begin(); element != value.end(); ++element) {
        if (element != value.begin()) values_ += ',';
        WriteText(element->first);
        values_ += ':';
        Write(element->second);
      }
      values_ += '}';
    } else {
      values_ += CanonicalFields(value);
    }
  }

  void WriteText(const std::string& text) {
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
      return c >= ' ' && c <= '~' && c != '"' && c != '\\';
    });
    if (is_plain) {
      values_.append("\"").append(text).append("\"");
    } else {
      values_ += Json(text).dump();
    }
  }

  std::vector<Member> members_;
  std::string values_;
};

}  // namespace internal

template <class Struct>
std::string CanonicalFields(const Struct& value) {
  internal::CanonicalFieldWriter writer;
  VisitFields(writer, const_cast<Struct&>(value));  // the writer only reads
  return writer.Text();
}

}  // namespace sweep
