#include <sstream>

#include "data/benchmarks/loaders.h"
#include "data/regex.h"

namespace weft {
namespace {

/// Runs one method of a class as unittest does, its class' set-up and tear-down included, with the
/// candidate under its own name.
constexpr const char* kCheck = R"(

def check(candidate, test):
    import unittest
    globals()["%NAME%"] = candidate
    result = unittest.TestResult()
    unittest.TestSuite([globals()[test["class"]](test["method"])]).run(result)
    return result.testsRun == 1 and result.wasSuccessful()
)";

std::string check_of(const std::string& entry_point) {
  std::string text = kCheck;
  constexpr std::string_view kName = "%NAME%";
  return text.replace(text.find(kName), kName.size(), entry_point);
}

// The methods that unittest would run, in the order of the text: they stand as deep as the first
// line of their class.
std::vector<Json> methods_of(const std::string& source) {
  static const Regex kClass(R"(^class\s+(\w+)\s*[(:])"), kMethod(R"(^(\s+)def\s+(test\w*)\s*\()"),
      kInside(R"(^(\s+)\S)");
  std::vector<Json> methods;
  std::string name, indent;
  std::istringstream lines(source);
  for (std::string line; std::getline(lines, line);) {
    if (const auto opened = kClass.match(line)) {
      name = opened->at(1);
      indent.clear();
      continue;
    }
    const auto inside = kInside.match(line);
    if (indent.empty() && inside) indent = inside->at(1);
    const auto method = kMethod.match(line);
    if (method && !name.empty() && method->at(1) == indent) {
      methods.push_back({{"class", name}, {"method", method->at(2)}});
    }
  }
  return methods;
}

}  // namespace

BenchmarkRow load_bigcodebench(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.text("task_id");
  parsed.prompt = row.text("complete_prompt");
  parsed.entry_point = row.text("entry_point");
  parsed.setup = before_entry_point(parsed.prompt, parsed.entry_point);
  parsed.meta = row.some({"libs"});
  for (const char* other : {"instruct_prompt", "code_prompt", "doc_struct"}) row.ignore(other);
  const std::string source = row.text("test");
  parsed.tests = methods_of(source);
  if (parsed.tests.empty()) row.fail("expected unittest classes in \"test\", got no test method");
  parsed.checker = source + check_of(parsed.entry_point);
  parsed.checked_code = parsed.prompt + row.text("canonical_solution");
  return parsed;
}

}  // namespace weft
