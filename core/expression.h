#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sweep {

/// A small arithmetic expression, parsed once and evaluated many times. It is the one language of
/// derived values in sweep files ("1e-4 * global_batch_size / 256") and of columns and filters on
/// the command line ("flop/(6*N)").
///
///     numbers   1  2.5e8  1e-4         names   samples_seen  "quoted name (any text)"
///     + - * /   ^ (power, right to left)   - + (sign)   ( )
///     < <= > >= == !=   && || !            1 when true, 0 when false
///     abs ceil exp floor log log10 log2 max min round sqrt    max and min take two or more
///     arguments
class Expression {
 public:
  /// Throws Failure(kUsage) that quotes the text and says at which character what was expected.
  explicit Expression(std::string_view text);
  ~Expression();
  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;

  /// `lookup` gives the value of a name; it throws for one it does not know. Division by zero and
  /// the like follow IEEE 754 (infinities and NaN): the caller, who knows what the value is for,
  /// judges them.
  using Lookup = std::function<double(const std::string& name)>;
  [[nodiscard]] double Evaluate(const Lookup& lookup) const;

  /// The names the expression refers to, in order of first appearance.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] const std::string& text() const { return text_; }

  struct Node;

 private:
  std::string text_;
  std::vector<std::string> names_;
  std::unique_ptr<Node> root_;
};

}  // namespace sweep
