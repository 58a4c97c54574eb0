#include "fit/formula.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <set>

#include "core/failure.h"

namespace sweep {
namespace {

// "curve laion, task zeroshot_classification".
std::string GroupText(const FitReport& report) {
  std::string text;
  for (const auto& [column, value] : report.group.items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", column, value.get<std::string>());
  return text;
}

// Law and group as a name a compiler takes; a repeated one gets a number.
std::string FunctionName(const FitReport& report, std::set<std::string>& taken) {
  std::string name = report.law;
  for (const auto& [column, value] : report.group.items()) name += "_" + value.get<std::string>();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  std::string free = name;
  for (int k = 2; !taken.insert(free).second; ++k) free = fmt::format("{}_{}", name, k);
  return free;
}

struct Coefficient {
  std::string name;
  double value;
};

// Parameters, and those constants that the formula has.
std::vector<Coefficient> Coefficients(const FitReport& report) {
  std::vector<Coefficient> all;
  all.reserve(report.estimates.size() + report.constants.size());
  for (const Estimate& estimate : report.estimates) all.push_back({estimate.name, estimate.value});
  const std::string& formula = FindLaw(report.law).formula;
  for (const auto& [name, value] : report.constants) {
    if (formula.find(name) != std::string::npos) all.push_back({name, value});
  }
  return all;
}

// Shortest digits that give the same double again; never an integer, which C++ would divide as one.
std::string Exact(double value) {
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string LatexNumber(double value, bool after_minus) {
  std::string text = fmt::format("{:.4g}", value);
  const std::size_t e = text.find('e');
  if (e != std::string::npos) {
    text = fmt::format(
        R"({} \times 10^{{{}}})", text.substr(0, e), std::stoi(std::string(text.substr(e + 1))));
  }
  return after_minus && value < 0 ? "(" + text + ")" : text;
}

std::string Latex(const FitReport& report) {
  const std::vector<Coefficient> coefficients = Coefficients(report);
  std::string text = FindLaw(report.law).latex;
  for (const Coefficient& coefficient : coefficients) {
    const std::string slot = "<" + coefficient.name + ">";
    for (std::size_t at = 0; (at = text.find(slot)) != std::string::npos;) {
      const bool after_minus = at > 0 && text[at - 1] == '-';
      text.replace(at, slot.size(), LatexNumber(coefficient.value, after_minus));
    }
  }
  const std::string group = GroupText(report);
  const std::string left = text.starts_with("y :") ? "" : "y = ";
  return fmt::format("{}{}{}\n", group.empty() ? "" : "% " + group + "\n", left, text);
}

std::string Python(const FitReport& report, const std::string& name) {
  const Law& law = FindLaw(report.law);
  std::string text = fmt::format("# {} (fit {})\ndef {}({}):\n",
                                 GroupText(report).empty() ? "all points" : GroupText(report),
                                 report.id,
                                 name,
                                 fmt::join(law.variables, ", "));
  text += fmt::format("    \"\"\"y = {}\"\"\"\n", law.formula);
  for (const auto& [coefficient, value] : Coefficients(report))
    text += fmt::format("    {} = {}\n", coefficient, Exact(value));
  for (const auto& [line, expression] : law.code.lines)
    text += fmt::format("    {} = {}\n", line, expression);
  if (!law.code.result.empty()) return text + fmt::format("    return {}\n", law.code.result);
  return text +
         fmt::format(
             "    low, high = {}, {}\n    for _ in range(200):\n        y = (low + high) / 2\n"
             "        if {}:\n            low = y\n        else:\n            high = y\n"
             "    return y\n",
             law.code.root_low,
             law.code.root_high,
             law.code.root_above);
}

std::string Cpp(const FitReport& report, const std::string& name) {
  const Law& law = FindLaw(report.law);
  std::string arguments;
  for (const std::string& variable : law.variables)
    arguments += (arguments.empty() ? "double " : ", double ") + variable;
  std::string text = fmt::format("// {} (fit {})\n// y = {}\ninline double {}({}) {{\n",
                                 GroupText(report).empty() ? "all points" : GroupText(report),
                                 report.id,
                                 law.formula,
                                 name,
                                 arguments);
  text += "  using namespace std;\n";
  for (const auto& [coefficient, value] : Coefficients(report))
    text += fmt::format("  const double {} = {};\n", coefficient, Exact(value));
  for (const auto& [line, expression] : law.code.lines)
    text += fmt::format("  const double {} = {};\n", line, expression);
  if (!law.code.result.empty()) return text + fmt::format("  return {};\n}}\n", law.code.result);
  return text +
         fmt::format(
             "  double low = {}, high = {}, y = 0;\n  for (int i = 0; i < 200; ++i) {{\n"
             "    y = (low + high) / 2;\n    ({} ? low : high) = y;\n  }}\n  return y;\n}}\n",
             law.code.root_low,
             law.code.root_high,
             law.code.root_above);
}

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// One table for all: a column for every name any group has.
std::string Csv(const std::vector<FitReport>& reports) {
  std::set<std::string> columns;
  for (const FitReport& report : reports) {
    for (const auto& [column, value] : report.group.items()) columns.insert(column);
  }
  const auto number = [](const std::optional<double>& v) { return v ? fmt::format("{}", *v) : ""; };
  std::string text;
  for (const std::string& column : columns) text += CsvCell(column) + ",";
  text += "law,parameter,value,low,high,level,interval_method,n,objective,fit_id\n";
  for (const FitReport& report : reports) {
    std::string key;
    for (const std::string& column : columns)
      key += CsvCell(report.group.contains(column) ? report.group.at(column).get<std::string>()
                                                   : std::string()) +
             ",";
    for (const Estimate& e : report.estimates) {
      text += fmt::format("{}{},{},{},{},{},{},{},{},{},{}\n",
                          key,
                          report.law,
                          e.name,
                          e.value,
                          number(e.low),
                          number(e.high),
                          report.level,
                          ToString(report.intervals),
                          report.n,
                          report.objective,
                          report.id);
    }
  }
  return text;
}

}  // namespace

FormulaStyle ParseFormulaStyle(std::string_view text) {
  if (text == "text") return FormulaStyle::kText;
  if (text == "csv") return FormulaStyle::kCsv;
  if (text == "latex") return FormulaStyle::kLatex;
  if (text == "python") return FormulaStyle::kPython;
  if (text == "cpp") return FormulaStyle::kCpp;
  throw Failure(FailureCode::kUsage,
                fmt::format("--format '{}': expected text, csv, latex, python or cpp", text));
}

std::string FormulaText(const std::vector<FitReport>& reports, FormulaStyle style) {
  if (style == FormulaStyle::kCsv) return Csv(reports);
  std::string text;
  if (style == FormulaStyle::kPython) text = "from math import exp, expm1, log, log1p\n\n";
  if (style == FormulaStyle::kCpp) text = "#include <algorithm>\n#include <cmath>\n\n";
  std::set<std::string> taken;
  for (const FitReport& report : reports) {
    if (style == FormulaStyle::kText) text += FullText(report);
    if (style == FormulaStyle::kLatex) text += Latex(report);
    if (style == FormulaStyle::kPython) text += Python(report, FunctionName(report, taken)) + "\n";
    if (style == FormulaStyle::kCpp) text += Cpp(report, FunctionName(report, taken)) + "\n";
  }
  return text;
}

}  // namespace sweep
