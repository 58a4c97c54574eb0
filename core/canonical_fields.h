#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/json_fields.h"
#include "core/text_source.h"

namespace sweep {

/// The text of CanonicalDump(FieldsToJson(value)), written without the JSON value between: a sweep
/// of a hundred thousand runs hashes several hundred thousand of these.
template <class Struct>
[[nodiscard]] std::string CanonicalFields(const Struct& value);

/// The same text in pieces, of a `value` that outlives the source.
template <class Struct>
[[nodiscard]] TextSource CanonicalFieldsInPieces(const Struct& value);

namespace internal {

/// Canonical text in the making; with a sink it is handed on whenever enough has come together.
class CanonicalText {
 public:
  CanonicalText() = default;
  explicit CanonicalText(const TextSink& sink) : sink_(&sink) {}

  CanonicalText& operator+=(char c) {
    text_ += c;
    return *this;
  }
  CanonicalText& operator+=(std::string_view text) {
    text_ += text;
    return *this;
  }
  /// Between two elements of a list: the only texts that are long are lists.
  void HandOn() {
    constexpr size_t kPiece = size_t{1} << 18;
    if (sink_ != nullptr && text_.size() >= kPiece) Finish();
  }
  void Finish() {
    (*sink_)(text_);
    text_.clear();
  }
  [[nodiscard]] std::string Take() { return std::move(text_); }

 private:
  const TextSink* sink_ = nullptr;
  std::string text_;
};

template <class T>
void WriteCanonical(CanonicalText& out, const T& value);

/// Collects a struct's fields, to write them in the order of their names.
class CanonicalFieldList {
 public:
  CanonicalFieldList() { fields_.reserve(kMostFields); }

  template <class T>
  void operator()(const char* name, T& field) {
    fields_.push_back({name, &field, [](CanonicalText& out, const void* value) {
                         WriteCanonical(out, *static_cast<const T*>(value));
                       }});
  }
  template <class T, class Default>
  void operator()(const char* name, T& field, const Default& frozen_default) {
    if (field != T(frozen_default)) (*this)(name, field);
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& field) {
    if (field) (*this)(name, *field);
  }

  void Write(CanonicalText& out) {
    std::sort(fields_.begin(), fields_.end(), [](const Field& a, const Field& b) {
      return a.name < b.name;
    });
    out += '{';
    for (const Field& field : fields_) {
      if (&field != fields_.data()) out += ',';
      out += '"';
      out += field.name;
      out += "\":";
      field.write(out, field.value);
    }
    out += '}';
  }

 private:
  struct Field {
    std::string_view name;
    const void* value;
    void (*write)(CanonicalText&, const void*);
  };
  static constexpr size_t kMostFields = 24;  // as good as always
  std::vector<Field> fields_;
};

inline void WriteCanonicalText(CanonicalText& out, const std::string& text) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
  if (!is_plain) {
    out += Json(text).dump();
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

template <class T>
concept MakesItsJson = requires(const T& value) { value.ToJson(); };

template <class T>
void WriteCanonical(CanonicalText& out, const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    char digits[24];
    const char* const end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    out += std::string_view(digits, static_cast<size_t>(end - digits));
  } else if constexpr (std::is_same_v<T, std::string>) {
    WriteCanonicalText(out, value);
  } else if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, Json>) {
    out += CanonicalDump(Json(value));
  } else if constexpr (IsVector<T>::value) {
    out += '[';
    for (size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out += ',';
      WriteCanonical(out, value[i]);
      out.HandOn();
    }
    out += ']';
  } else if constexpr (IsMap<T>::value) {
    out += '{';
    for (auto element = value.begin(); element != value.end(); ++element) {
      if (element != value.begin()) out += ',';
      WriteCanonicalText(out, element->first);
      out += ':';
      WriteCanonical(out, element->second);
    }
    out += '}';
  } else if constexpr (MakesItsJson<T>) {
    out += CanonicalDump(value.ToJson());
  } else {
    CanonicalFieldList fields;
    VisitFields(fields, const_cast<T&>(value));  // the list only reads
    fields.Write(out);
  }
}

}  // namespace internal

template <class Struct>
std::string CanonicalFields(const Struct& value) {
  internal::CanonicalText text;
  internal::WriteCanonical(text, value);
  return text.Take();
}

template <class Struct>
TextSource CanonicalFieldsInPieces(const Struct& value) {
  return [&value](const TextSink& sink) {
    internal::CanonicalText text(sink);
    internal::WriteCanonical(text, value);
    text.Finish();
  };
}

}  // namespace sweep
