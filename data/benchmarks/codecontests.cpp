#include "data/benchmarks/given_tests.h"
#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

std::vector<Json> tests_of(RowFields& row, const char* key) {
  std::vector<Json> tests;
  if (!row.has(key)) return tests;
  const Json given = row.value(key);
  const Json inputs = given.is_object() ? given.value("input", Json()) : Json();
  const Json outputs = given.is_object() ? given.value("output", Json()) : Json();
  if (!inputs.is_array() || !outputs.is_array() || inputs.size() != outputs.size()) {
    row.fail(std::string(key) + ": expected as many of \"input\" as of \"output\"");
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].is_string() || !outputs[i].is_string()) {
      row.fail(std::string(key) + ": expected texts");
    }
    tests.push_back(stdio_test(inputs[i], outputs[i]));
  }
  return tests;
}

}  // namespace

BenchmarkRow load_codecontests(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.text("name");
  parsed.prompt = row.text("description") + "\n\nRead standard input and write standard output.\n";
  parsed.shown = tests_of(row, "public_tests");
  for (const char* key : {"private_tests", "generated_tests"}) {
    for (auto& test : tests_of(row, key)) parsed.tests.push_back(std::move(test));
  }
  if (parsed.tests.empty()) row.fail("expected tests in private_tests or generated_tests");
  const std::string input_file = row.text_or("input_file", "");
  if (!input_file.empty() && input_file != "stdin") {
    row.fail("input_file: a program that reads \"" + input_file + "\" cannot be judged");
  }
  const std::string output_file = row.text_or("output_file", "");
  if (!output_file.empty() && output_file != "stdout") {
    row.fail("output_file: a program that writes \"" + output_file + "\" cannot be judged");
  }
  parsed.meta = row.some({"difficulty", "source", "cf_rating"});
  return parsed;
}

}  // namespace weft
