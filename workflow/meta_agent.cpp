#include "workflow/meta_agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/machine.h"
#include "workflow/completion_form.h"
#include "workflow/steps.h"

namespace weft {
namespace {

bool is_allowed_import(const std::string& module) {
  const std::string root = module.substr(0, module.find('.'));
  const auto& allowed = allowed_imports();
  return std::find(allowed.begin(), allowed.end(), root) != allowed.end();
}

std::string step_problem(const std::string& code, int max_steps) {
  const auto numbers = step_numbers(code);
  if (numbers.empty()) return "no comment \"# Step 1:\"";
  if (static_cast<int>(numbers.size()) > max_steps) {
    return fmt::format("{} steps, at most {} are allowed", numbers.size(), max_steps);
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] != static_cast<int>(i) + 1) {
      return fmt::format("expected \"# Step {}:\", got \"# Step {}:\"", i + 1, numbers[i]);
    }
  }
  return "";
}

}  // namespace

const std::vector<std::string>& allowed_imports() {
  static const std::vector<std::string> kAllowed = {
      "ast",    "asyncio", "collections", "functools", "itertools", "json", "math",
      "random", "re",      "statistics",  "string",    "typing",    "weft"};
  return kAllowed;
}

void MetaAgentOptions::validate() const {
  if (prompt_style != "short" && prompt_style != "full") {
    throw InputError(
        fmt::format("prompt_style: expected \"short\" or \"full\", got \"{}\"", prompt_style));
  }
  if (max_code_bytes < 1 || max_nodes < 1 || max_steps < 1) {
    throw InputError(
        fmt::format("max_code_bytes, max_nodes, max_steps: expected >= 1, got {}, {}, {}",
                    max_code_bytes, max_nodes, max_steps));
  }
  require_room("max_code_bytes", max_code_bytes, 1);
}

MetaAgent::MetaAgent(PythonAnalyser& analyser, MetaAgentOptions options, std::string tools)
    : analyser_(analyser), options_(std::move(options)), tools_(std::move(tools)) {
  options_.validate();
}

std::string MetaAgent::render_completion(const std::string& reasoning,
                                         const std::string& code) const {
  return trimmed(reasoning) + "\n" + render_code(code);
}

std::string MetaAgent::render_code(const std::string& code) const {
  const bool ends_line = !code.empty() && code.back() == '\n';
  return fmt::format("```python\n{}{}```", code, ends_line ? "" : "\n");
}

Workflow MetaAgent::parse(const std::string& completion) const {
  CompletionParts parts = split_completion(completion);
  if (!parts.problem.empty()) {
    Workflow workflow;
    workflow.problem = std::move(parts.problem);
    return workflow;
  }
  Workflow workflow = check(std::move(parts.code));
  workflow.reasoning = std::move(parts.reasoning);
  return workflow;
}

Workflow MetaAgent::check(std::string code) const {
  Workflow workflow;
  workflow.code = std::move(code);
  workflow.num_steps = static_cast<int>(step_numbers(workflow.code).size());
  if (static_cast<int64_t>(workflow.code.size()) > options_.max_code_bytes) {
    workflow.problem = fmt::format("{} bytes of code, at most {} are allowed", workflow.code.size(),
                                   options_.max_code_bytes);
    return workflow;
  }
  workflow.facts = analyser_.facts(workflow.code);
  workflow.problem = find_problem(workflow);
  workflow.valid = workflow.problem.empty();
  return workflow;
}

bool MetaAgent::is_whole(const std::string& code) const {
  return analyser_.facts(code).call_returns;
}

std::string MetaAgent::find_problem(const Workflow& workflow) const {
  const StaticFacts& facts = workflow.facts;
  if (!facts.parses) return "does not parse: " + facts.syntax_error;
  if (facts.num_nodes > options_.max_nodes) {
    return fmt::format("{} AST nodes, at most {} are allowed", facts.num_nodes, options_.max_nodes);
  }
  for (size_t i = 0; i < facts.imports.size(); ++i) {
    if (is_allowed_import(facts.imports[i])) continue;
    return fmt::format("line {}: import of {} is not allowed", facts.import_lines.at(i),
                       facts.imports[i]);
  }
  if (!facts.refusals.empty()) {
    return fmt::format("line {}: {}", facts.refusals.front().line, facts.refusals.front().what);
  }
  if (!facts.has_workflow_class) return "no class Workflow";
  if (!facts.has_async_call) return "class Workflow has no async __call__";
  if (!facts.has_contract_init) {
    return "class Workflow has no __init__(self, name, llm_config, dataset)";
  }
  return step_problem(workflow.code, options_.max_steps);
}

}  // namespace weft
