#include "core/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>

#include "core/failure.h"

namespace sweep {

struct Expression::Node {
  // Combines the values of the children; a leaf has its own value or name.
  using Combine = double (*)(const std::vector<double>&);
  Combine combine = nullptr;
  double value = 0;
  std::string name;
  std::vector<std::unique_ptr<Node>> children;
};

namespace {

using Node = Expression::Node;
using NodePtr = std::unique_ptr<Node>;
using Values = std::vector<double>;

struct Function {
  Node::Combine combine;
  size_t least_arguments;
  size_t most_arguments;
};

constexpr size_t kAnyNumber = 1000;

const std::map<std::string, Function, std::less<>>& Functions() {
  static const std::map<std::string, Function, std::less<>> functions = {
      {"abs", {[](const Values& v) { return std::abs(v[0]); }, 1, 1}},
      {"ceil", {[](const Values& v) { return std::ceil(v[0]); }, 1, 1}},
      {"exp", {[](const Values& v) { return std::exp(v[0]); }, 1, 1}},
      {"floor", {[](const Values& v) { return std::floor(v[0]); }, 1, 1}},
      {"log", {[](const Values& v) { return std::log(v[0]); }, 1, 1}},
      {"log10", {[](const Values& v) { return std::log10(v[0]); }, 1, 1}},
      {"log2", {[](const Values& v) { return std::log2(v[0]); }, 1, 1}},
      {"max",
       {[](const Values& v) { return *std::max_element(v.begin(), v.end()); }, 2, kAnyNumber}},
      {"min",
       {[](const Values& v) { return *std::min_element(v.begin(), v.end()); }, 2, kAnyNumber}},
      {"round", {[](const Values& v) { return std::round(v[0]); }, 1, 1}},
      {"sqrt", {[](const Values& v) { return std::sqrt(v[0]); }, 1, 1}},
  };
  return functions;
}

struct Operator {
  std::string_view symbol;
  Node::Combine combine;
};

// Binary operators, loosest level first; all of one level bind equally and from the left. A longer
// symbol stands before the one it begins with.
const std::vector<std::vector<Operator>>& Levels() {
  static const std::vector<std::vector<Operator>> levels = {
      {{"||", [](const Values& v) { return v[0] != 0 || v[1] != 0 ? 1.0 : 0.0; }}},
      {{"&&", [](const Values& v) { return v[0] != 0 && v[1] != 0 ? 1.0 : 0.0; }}},
      {{"==", [](const Values& v) { return v[0] == v[1] ? 1.0 : 0.0; }},
       {"!=", [](const Values& v) { return v[0] != v[1] ? 1.0 : 0.0; }},
       {"<=", [](const Values& v) { return v[0] <= v[1] ? 1.0 : 0.0; }},
       {">=", [](const Values& v) { return v[0] >= v[1] ? 1.0 : 0.0; }},
       {"<", [](const Values& v) { return v[0] < v[1] ? 1.0 : 0.0; }},
       {">", [](const Values& v) { return v[0] > v[1] ? 1.0 : 0.0; }}},
      {{"+", [](const Values& v) { return v[0] + v[1]; }},
       {"-", [](const Values& v) { return v[0] - v[1]; }}},
      {{"*", [](const Values& v) { return v[0] * v[1]; }},
       {"/", [](const Values& v) { return v[0] / v[1]; }}},
  };
  return levels;
}

NodePtr MakeNode(Node::Combine combine, NodePtr first, NodePtr second = nullptr) {
  auto node = std::make_unique<Node>();
  node->combine = combine;
  node->children.push_back(std::move(first));
  if (second) node->children.push_back(std::move(second));
  return node;
}

class Parser {
 public:
  Parser(std::string_view text, std::vector<std::string>& names) : text_(text), names_(names) {}

  NodePtr ParseAll() {
    NodePtr node = ParseLevel(0);
    SkipSpace();
    if (at_ < text_.size()) Fail("an operator or the end");
    return node;
  }

 private:
  NodePtr ParseLevel(size_t level) {
    if (level == Levels().size()) return ParseSigned();
    const DepthGuard guard(*this);
    NodePtr left = ParseLevel(level + 1);
    while (const Operator* op = TakeOperator(level)) {
      // Each makes the tree deeper, for all who walk it.
      if (++operators_ > kMostOperators) Fail("fewer operators");
      left = MakeNode(op->combine, std::move(left), ParseLevel(level + 1));
    }
    return left;
  }

  const Operator* TakeOperator(size_t level) {
    for (const Operator& op : Levels()[level]) {
      if (Take(op.symbol)) return &op;
    }
    return nullptr;
  }

  NodePtr ParseSigned() {
    const DepthGuard guard(*this);
    if (Take("-")) return MakeNode([](const Values& v) { return -v[0]; }, ParseSigned());
    if (Take("+")) return ParseSigned();
    if (Take("!"))
      return MakeNode([](const Values& v) { return v[0] == 0 ? 1.0 : 0.0; }, ParseSigned());
    NodePtr base = ParsePrimary();
    if (!Take("^")) return base;
    return MakeNode(
        [](const Values& v) { return std::pow(v[0], v[1]); }, std::move(base), ParseSigned());
  }

  NodePtr ParsePrimary() {
    SkipSpace();
    if (Take("(")) {
      NodePtr inner = ParseLevel(0);
      if (!Take(")")) Fail("')'");
      return inner;
    }
    if (at_ < text_.size() && text_[at_] == '"') return MakeName(TakeQuoted());
    if (at_ < text_.size() && (std::isdigit(Byte()) != 0 || text_[at_] == '.'))
      return ParseNumber();
    if (at_ < text_.size() && (std::isalpha(Byte()) != 0 || text_[at_] == '_'))
      return ParseNameOrCall();
    Fail("a number, a name or '('");
  }

  NodePtr ParseNumber() {
    auto node = std::make_unique<Node>();
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), node->value);
    if (error != std::errc()) Fail("a number");
    at_ += static_cast<size_t>(end - begin);
    return node;
  }

  NodePtr ParseNameOrCall() {
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(Byte()) != 0 || text_[at_] == '_' || text_[at_] == '.'))
      ++at_;
    const std::string name(text_.substr(begin, at_ - begin));
    if (!Take("(")) return MakeName(name);
    const auto function = Functions().find(name);
    if (function == Functions().end()) {
      at_ = begin;
      Fail("a function (abs, ceil, exp, floor, log, log10, log2, max, min, round or sqrt)");
    }
    return ParseArguments(name, function->second);
  }

  NodePtr ParseArguments(const std::string& name, const Function& function) {
    auto node = std::make_unique<Node>();
    node->combine = function.combine;
    do {
      node->children.push_back(ParseLevel(0));
    } while (Take(","));
    if (!Take(")")) Fail("',' or ')'");
    const size_t count = node->children.size();
    if (count < function.least_arguments || count > function.most_arguments) {
      Fail(fmt::format("{} argument{} for {}",
                       function.least_arguments,
                       function.least_arguments > 1 ? "s or more" : "",
                       name));
    }
    return node;
  }

  std::string TakeQuoted() {
    const size_t end = text_.find('"', at_ + 1);
    if (end == std::string_view::npos) Fail("a closing '\"'");
    std::string name(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return name;
  }

  NodePtr MakeName(const std::string& name) {
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(name);
    auto node = std::make_unique<Node>();
    node->name = name;
    return node;
  }

  bool Take(std::string_view symbol) {
    SkipSpace();
    if (text_.substr(at_, symbol.size()) != symbol) return false;
    at_ += symbol.size();
    return true;
  }

  void SkipSpace() {
    while (at_ < text_.size() && std::isspace(Byte()) != 0) ++at_;
  }

  [[nodiscard]] unsigned char Byte() const { return static_cast<unsigned char>(text_[at_]); }

  [[noreturn]] void Fail(const std::string& expected) const {
    const std::string found =
        at_ < text_.size() ? fmt::format("'{}'", text_.substr(at_, 1)) : "the end";
    throw Failure(
        FailureCode::kUsage,
        fmt::format(
            "expression '{}': character {} is {}, expected {}", text_, at_ + 1, found, expected));
  }

  // Hostile input such as a million '(' must not overflow the stack.
  struct DepthGuard {
    explicit DepthGuard(Parser& p) : parser(p) {
      if (++parser.depth_ > kMostDepth) parser.Fail("less deep nesting");
    }
    ~DepthGuard() { --parser.depth_; }
    DepthGuard(const DepthGuard&) = delete;
    DepthGuard& operator=(const DepthGuard&) = delete;
    Parser& parser;
  };
  static constexpr int kMostDepth = 1000;
  static constexpr int kMostOperators = 1000;

  std::string_view text_;
  std::vector<std::string>& names_;
  size_t at_ = 0;
  int depth_ = 0;
  int operators_ = 0;
};

double EvaluateNode(const Node& node, const Expression::Lookup& lookup) {
  if (node.combine == nullptr) return node.name.empty() ? node.value : lookup(node.name);
  Values values;
  values.reserve(node.children.size());
  for (const NodePtr& child : node.children) values.push_back(EvaluateNode(*child, lookup));
  return node.combine(values);
}

}  // namespace

Expression::Expression(std::string_view text) : text_(text) {
  root_ = Parser(text_, names_).ParseAll();
}
Expression::~Expression() = default;
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;

double Expression::Evaluate(const Lookup& lookup) const {
  return EvaluateNode(*root_, lookup);
}

}  // namespace sweep
