#include "data/benchmarks/loaders.h"

namespace weft {

std::string before_entry_point(const std::string& prompt, const std::string& entry_point) {
  const std::string header = "def " + entry_point + "(";
  size_t place = prompt.find(header);
  while (place != std::string::npos && place > 0 && prompt[place - 1] != '\n') {
    place = prompt.find(header, place + 1);
  }
  const std::string setup = prompt.substr(0, place == std::string::npos ? 0 : place);
  const size_t last = setup.find_last_not_of(" \t\r\n");
  return last == std::string::npos ? "" : setup.substr(0, last + 1) + "\n";
}

BenchmarkRow load_humaneval(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.id("task_id", "HumanEval/");
  parsed.split_key = parsed.id;
  parsed.prompt = row.text("prompt");
  ReferenceTask reference;
  reference.code = parsed.prompt + row.text("canonical_solution");
  reference.entry_point = row.text("entry_point");
  reference.tests = {row.text("test")};
  parsed.setup = before_entry_point(parsed.prompt, reference.entry_point);
  parsed.references.push_back(std::move(reference));
  return parsed;
}

}  // namespace weft
