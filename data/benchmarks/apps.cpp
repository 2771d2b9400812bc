#include "data/benchmarks/given_tests.h"
#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

// APPS and TACO have their tests as JSON in a string.
BenchmarkRow load_with_tests(RowFields& row, const std::string& dataset) {
  BenchmarkRow parsed;
  parsed.id = row.id_or_index({"problem_id", "id", "task_id"}, dataset);
  const std::string starter = row.text_or("starter_code", "");
  parsed.prompt = row.text("question");
  if (!starter.empty()) parsed.prompt += "\n\nBegin with:\n" + starter + "\n";
  parsed.tests = input_output_tests(parsed, row, row.json_text("input_output"));
  if (!parsed.entry_point.empty()) {
    parsed.entry_point = entry_point_of(parsed.entry_point, starter);
  } else {
    parsed.prompt += "\n\nRead standard input and write standard output.\n";
  }
  parsed.meta = row.some({"difficulty", "url", "source"});
  row.ignore("solutions");
  return parsed;
}

}  // namespace

BenchmarkRow load_apps(RowFields& row) { return load_with_tests(row, "apps"); }

BenchmarkRow load_taco(RowFields& row) {
  for (const char* column :
       {"name", "tags", "raw_tags", "skill_types", "time_limit", "memory_limit",
        "Expected Auxiliary Space", "Expected Time Complexity", "date", "picture_num"}) {
    row.ignore(column);
  }
  return load_with_tests(row, "taco");
}

}  // namespace weft
