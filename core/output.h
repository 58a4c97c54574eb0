#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string_view>
#include <utility>

namespace sweep {

/// Writes a piece of a program's result to stdout. This is the only way to stdout, so that a result
/// that could not be written whole never looks like one that was. Throws Failure(kDiskFull) when
/// there is no room, Failure(kOutputClosed) when nobody reads the pipe any more, Failure(kDatabase)
/// for any other trouble.
void PrintText(std::string_view text);

template <class... Values>
void Print(fmt::format_string<Values...> format, Values&&... values) {
  PrintText(fmt::format(format, std::forward<Values>(values)...));
}

/// Hands over what stdout still holds back. Each program calls it before it decides on its exit
/// code. Throws as PrintText.
void FinishOutput();

/// Writes a message to stderr, or to the stream it is given. Messages are a courtesy: the work goes
/// on where they cannot be written (a full disk, a terminal that is gone), so nothing is thrown.
void TellText(std::string_view text, std::FILE* stream = stderr) noexcept;

template <class... Values>
void Tell(fmt::format_string<Values...> format, Values&&... values) {
  TellText(fmt::format(format, std::forward<Values>(values)...));
}

}  // namespace sweep
