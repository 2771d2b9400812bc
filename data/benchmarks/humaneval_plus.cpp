#include "data/benchmarks/loaders.h"

namespace weft {

ReferenceTask plus_inputs(RowFields& row, const std::string& code, const std::string& entry_point) {
  ReferenceTask inputs;
  inputs.form = ReferenceTask::Form::kInputs;
  inputs.code = code;
  inputs.entry_point = entry_point;
  for (const char* key : {"base_input", "plus_input"}) {
    for (const auto& arguments : row.array(key)) inputs.inputs.push_back(arguments);
  }
  inputs.absolute_tolerance = row.number_or("atol", 0);
  return inputs;
}

BenchmarkRow load_humaneval_plus(RowFields& row) {
  BenchmarkRow parsed = load_humaneval(row);
  const ReferenceTask& reference = parsed.references[0];
  const bool has_lists = row.has("plus_input");
  if (!has_lists && reference.tests[0].find("inputs") == std::string::npos) {
    row.fail(
        "expected the further inputs in \"plus_input\" or in \"test\", got neither: is it "
        "humaneval's row?");
  }
  const std::string contract = row.text_or("contract", "");
  if (!contract.empty()) {
    parsed.guarded_code = parsed.prompt + contract + row.text("canonical_solution");
  }
  if (has_lists) {
    parsed.references.push_back(plus_inputs(row, reference.code, reference.entry_point));
  }
  return parsed;
}

}  // namespace weft
