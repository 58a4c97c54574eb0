#pragma once

#include <map>
#include <string>
#include <vector>

namespace sweep {

/// Words of a command with {names} in them, as {"qsub", "-N", "{name}"}. Braces around anything but
/// a lower-case name stand for themselves.
using WordTemplate = std::vector<std::string>;

/// The names in it, in order.
[[nodiscard]] std::vector<std::string> NamesIn(const WordTemplate& words);

/// The words with every name that `values` has replaced by its value.
[[nodiscard]] std::vector<std::string> FillIn(const WordTemplate& words,
                                              const std::map<std::string, std::string>& values);

}  // namespace sweep
