#include "sandbox/facts/static_facts.h"

#include "base/error.h"
#include "sandbox/jail/single_call.h"
#include "sandbox/jail/slot_pool.h"

namespace weft {
namespace {

std::vector<std::string> strings_of(const PythonValue& list) {
  std::vector<std::string> strings;
  for (const auto& item : list.items) strings.push_back(item.text);
  return strings;
}

std::vector<int> lines_of(const PythonValue& list) {
  std::vector<int> lines;
  for (const auto& item : list.items) lines.push_back(static_cast<int>(item.number));
  return lines;
}

std::vector<Refusal> refusals_of(const PythonValue& list) {
  std::vector<Refusal> refusals;
  for (const auto& item : list.items) {
    refusals.push_back({static_cast<int>(item.items.at(0).number), item.items.at(1).text});
  }
  return refusals;
}

void set_field(StaticFacts& facts, const std::string& key, const PythonValue& value) {
  if (key == "parses") facts.parses = value.number != 0;
  if (key == "syntax_error") facts.syntax_error = value.text;
  if (key == "num_nodes") facts.num_nodes = value.number;
  if (key == "num_distinct_nodes") facts.num_distinct_nodes = value.number;
  if (key == "num_calls") facts.num_calls = value.number;
  if (key == "depth") facts.depth = static_cast<int>(value.number);
  if (key == "imports") facts.imports = strings_of(value);
  if (key == "import_lines") facts.import_lines = lines_of(value);
  if (key == "refusals") facts.refusals = refusals_of(value);
  if (key == "has_workflow_class") facts.has_workflow_class = value.number != 0;
  if (key == "has_async_call") facts.has_async_call = value.number != 0;
  if (key == "has_contract_init") facts.has_contract_init = value.number != 0;
  if (key == "call_returns") facts.call_returns = value.number != 0;
  if (key == "names_called") facts.names_called = strings_of(value);
  if (key == "strings") facts.strings = strings_of(value);
  if (key == "ast_hash") facts.ast_hash = value.text;
}

}  // namespace

StaticFacts PythonAnalyser::facts(const std::string& code) {
  StaticFacts facts;
  facts.code_bytes = static_cast<int64_t>(code.size());
  auto lease = sandbox_.slots().acquire(SlotPool::Use::kCandidate);
  const auto result = SlotPool::run_retried(lease, [&] {
    return run_builtin(lease.zygote(), "static_facts", {PythonValue::str(code)},
                       sandbox_.time_scale());
  });
  if (!result.value) {
    facts.syntax_error = "the parser failed: " + result.failure();
    return facts;
  }
  const auto& items = result.value->items;
  for (size_t i = 0; i + 1 < items.size(); i += 2) set_field(facts, items[i].text, items[i + 1]);
  return facts;
}

std::optional<EditExtent> PythonAnalyser::compare(const std::string& before,
                                                  const std::string& after) {
  auto lease = sandbox_.slots().acquire(SlotPool::Use::kCandidate);
  const auto result = SlotPool::run_retried(lease, [&] {
    return run_builtin(lease.zygote(), "compare_programs",
                       {PythonValue::str(before), PythonValue::str(after)}, sandbox_.time_scale());
  });
  if (!result.value || result.value->items.size() != 2) return std::nullopt;
  return EditExtent{result.value->items[0].number, result.value->items[1].number};
}

}  // namespace weft
