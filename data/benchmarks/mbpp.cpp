#include "data/benchmarks/loaders.h"

namespace weft {

BenchmarkRow load_mbpp(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.id("task_id", "mbpp/");
  if (!row.has("text")) parsed.split_key = parsed.id;  // the sanitized file
  ReferenceTask reference;
  reference.form = ReferenceTask::Form::kAsserts;
  reference.code = row.text("code");
  reference.entry_point = row.text_or("entry_point", "");
  reference.before = row.text_or("test_setup_code", "");
  if (!reference.before.empty() && reference.before.back() != '\n') reference.before += "\n";
  for (const auto& line : row.texts("test_imports")) reference.before += line + "\n";
  reference.tests = row.texts("test_list");
  for (auto& test : row.texts("challenge_test_list")) reference.tests.push_back(std::move(test));
  const std::string program = row.text_or("test", "");
  if (reference.tests.empty()) row.fail("test_list: expected asserts");
  parsed.prompt = row.has("text") ? row.text("text") : row.text("prompt");
  parsed.prompt += "\nYour code should pass this test:\n" + reference.tests[0] + "\n";
  parsed.references.push_back(reference);
  if (!program.empty()) {
    reference.form = ReferenceTask::Form::kProgram;
    reference.tests = {program};
    parsed.references.push_back(std::move(reference));
  }
  return parsed;
}

}  // namespace weft
