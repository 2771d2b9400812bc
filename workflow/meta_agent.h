/// What the meta-agent is asked, the form of its answer, and the check before an answer may run.
/// The contract of the code is BayesFlow's (arXiv:2601.22305, appendix G and H).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/task.h"
#include "model/text_model.h"
#include "sandbox/facts/static_facts.h"
#include "workflow/workflow.h"

namespace weft {

struct MetaAgentOptions {
  /// "short": one system line and the query, for a model trained on the form;
  /// "full": contract, helper signatures, an example and rules, for 7B and 14B.
  std::string prompt_style = "short";
  int64_t max_code_bytes = 8192;  ///< longer code is not valid
  int64_t max_nodes = 2000;       ///< AST nodes; more is not valid
  int max_steps = 12;             ///< more "# Step n:" comments are not valid

  template <class V>
  void visit(V& v) {
    v("prompt_style", prompt_style, "short or full");
    v("max_code_bytes", max_code_bytes, "size cap of a workflow, bytes");
    v("max_nodes", max_nodes, "size cap of a workflow, AST nodes");
    v("max_steps", max_steps, "cap on the number of steps");
  }
  void validate() const;  ///< throws InputError
};

/// Query -> prompt, completion -> Workflow. Const methods may be called from any thread. Borrows
/// the analyser, which reads Python text in the jail and never runs it.
class MetaAgent {
 public:
  /// `tools`, a line each, are functions that workflows have beside the helpers: shown in prompts.
  /// Throws InputError on bad options.
  explicit MetaAgent(PythonAnalyser& analyser, MetaAgentOptions options = {},
                     std::string tools = "");

  /// The conversation that asks for a workflow for this task. Shows the query, its kind and its
  /// entry point; never a test.
  std::vector<ChatMessage> prompt(const Task& task) const;

  /// Its last message: what is stored as a trajectory's prompt, and what a WorkflowPool compares.
  std::string query(const Task& task) const;

  /// The completion that a model is trained to give, without the end-of-text token:
  ///   reasoning, newline, "```python", newline, code, "```".
  /// A model whose chat template gives reasoning a part of its own is trained on the same two parts
  /// in that form (model/tokenizer/reasoning_form.h).
  std::string render_completion(const std::string& reasoning, const std::string& code) const;

  /// Its second part: "```python", newline, code, "```".
  std::string render_code(const std::string& code) const;

  /// Strict inverse of render_completion. One reasoning part, one ```python block, nothing after
  /// it. Text up to "</think>" counts as reasoning and may hold anything. Whatever else is found
  /// (no block, a second one, an unclosed one, an empty part) gives valid = false with the reason;
  /// nothing is repaired. The code is checked as by check().
  Workflow parse(const std::string& completion) const;

  /// The static check: parses, allowed imports only, nothing of StaticFacts::refusals, `class
  /// Workflow` with `__init__(self, name, llm_config, dataset)` and `async __call__`, steps
  /// numbered from 1, below the caps. What is found is said with its line. Throws Error only when
  /// the analyser itself fails.
  Workflow check(std::string code) const;

  /// Whether the code's __call__ ends here: a step behind it would never run. False for code that
  /// does not parse. Throws as check does.
  bool is_whole(const std::string& code) const;

  /// How far an edit is from the code it was made of; none when one of them does not parse.
  std::optional<EditExtent> compare(const std::string& before, const std::string& after) const {
    return analyser_.compare(before, after);
  }

  const MetaAgentOptions& options() const { return options_; }
  const std::string& tools() const { return tools_; }

 private:
  std::string find_problem(const Workflow& workflow) const;

  PythonAnalyser& analyser_;
  MetaAgentOptions options_;
  std::string tools_;
};

/// The contract as the "full" prompt states it for this kind of task: signatures, an example,
/// rules. Also the opening of a teacher's prompt. `tools` as MetaAgent's.
std::string contract_text(TaskKind kind, const std::string& tools = "");

/// Modules that a workflow may import.
const std::vector<std::string>& allowed_imports();

}  // namespace weft
