#include "data/benchmarks/given_tests.h"

#include <algorithm>

namespace weft {
namespace {

// Lists of lines, as some rows have them, stand for the text.
std::string text_of(RowFields& row, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) row.fail("expected a test's input and output as text or lines");
  std::string text;
  for (const auto& line : value) {
    if (!line.is_string()) row.fail("expected the lines of a test's input and output as text");
    text += line.get_ref<const std::string&>() + "\n";
  }
  return text;
}

}  // namespace

Json stdio_test(const std::string& input, const std::string& output) {
  return {{"input", input}, {"output", output}};
}

Json call_test(Json arguments, Json expected) {
  return {{"args", std::move(arguments)},
          {"expected", std::move(expected)},
          {"compare", "lenient_sequences"}};
}

std::vector<Json> input_output_tests(BenchmarkRow& parsed, RowFields& row, const Json& tests) {
  if (!tests.is_object()) row.fail("expected the tests as an object of inputs and outputs");
  const Json inputs = tests.value("inputs", Json()), outputs = tests.value("outputs", Json());
  if (!inputs.is_array() || !outputs.is_array() || inputs.size() != outputs.size()) {
    row.fail("expected as many inputs as outputs");
  }
  const Json function = tests.value("fn_name", Json());
  if (function.is_string()) parsed.entry_point = function.get<std::string>();
  // Most published rows have each call's result in a list of its own.
  const bool wrapped = std::all_of(outputs.begin(), outputs.end(), [](const Json& output) {
    return output.is_array() && output.size() == 1;
  });
  std::vector<Json> read;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (function.is_string()) {
      if (!inputs[i].is_array()) row.fail("expected the arguments of a call as a list");
      read.push_back(call_test(inputs[i], wrapped ? outputs[i][0] : outputs[i]));
    } else {
      read.push_back(stdio_test(text_of(row, inputs[i]), text_of(row, outputs[i])));
    }
  }
  if (read.empty()) row.fail("expected at least one test");
  return read;
}

std::string entry_point_of(const std::string& function, const std::string& starter_code) {
  const bool is_method = starter_code.find("class Solution") != std::string::npos;
  return is_method ? "Solution()." + function : function;
}

}  // namespace weft
