#include "workflow/meta_agent.h"

namespace weft {
namespace {

constexpr const char* kSignatures =
    R"(You design multi-agent workflows. Read one task and write Python code that solves it by calling worker models.

The code defines exactly one class:

class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem%ENTRY%):
        ...
        return answer, self.llm.get_usage_summary()["total_cost"]

These helpers are already defined:
- await self.llm.call_llm(messages, temperature, num_of_response, agent_role, instructions) -> list of str. The worker model sees agent_role and instructions as its system prompt and the messages as the user's text. A higher temperature gives more varied responses.
%EXEC%- extract_code(text) -> the code inside the longest fenced block, or the text itself.
)";

constexpr const char* kExec =
    R"(- exec_code(solution, entry_point) -> "no error" when every public test passes; a list of dicts (test_case, error_type, error_message, traceback) when some fail; {"exec_fail_case": message} when the code cannot run. Not a coroutine.
)";

constexpr const char* kToolRule =
    "The functions above that are not coroutines are called without await; one that fails raises "
    "WorkerError.\n";

constexpr const char* kRules = R"(
Rules:
- Start each major block with a comment "# Step n: what it does", numbered from 1.
- Import nothing but typing, re, math, collections, itertools, functools, statistics, json, string, random, asyncio.
- Never catch all exceptions (no bare except, no except Exception, no contextlib.suppress); fix the cause instead.
- Run no text as code and reach no attribute by a text: no exec, eval, compile, getattr, globals.
- %ANSWER%
- Every call costs. Use as few calls and as little code as the task needs.
- Reply with one to three sentences of reasoning, then one ```python block with the whole class, then nothing.

Example for another task:

The rule for leap years has two exceptions that a single draft may miss, so I take three drafts and keep one that passes the public tests.
)";

constexpr const char* kCodeExample = R"(```python
class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem, entry_point):
        # Step 1: drafts
        codes = await self.llm.call_llm([problem], 0.6, 3, "Python programmer", f"Write only the function {entry_point}.")
        # Step 2: keep a passing draft
        code = next((c for c in codes if exec_code(c, entry_point) == "no error"), codes[0])
        return code, self.llm.get_usage_summary()["total_cost"]
```)";

constexpr const char* kAnswerExample = R"(```python
class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem):
        # Step 1: drafts
        answers = await self.llm.call_llm([problem], 0.6, 3, "careful reader", "%FORMAT%")
        # Step 2: vote
        ends = [a.split()[-1:] for a in answers]
        answer = answers[ends.index(max(ends, key=ends.count))]
        return answer, self.llm.get_usage_summary()["total_cost"]
```)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

const char* answer_rule(TaskKind kind) {
  switch (kind) {
    case TaskKind::kCode:
      return "The answer is the complete Python code of the function, or of a program that reads "
             "standard input and prints when the task names no entry point.";
    case TaskKind::kMath:
      return "The answer ends with the result in \\boxed{}.";
    case TaskKind::kQa:
      return "The answer is the shortest text that answers the question, nothing else.";
    case TaskKind::kChoice:
      break;
  }
  return "The answer is the capital letter of the right option, nothing else.";
}

}  // namespace

std::string contract_text(TaskKind kind, const std::string& tools) {
  const bool is_code = kind == TaskKind::kCode;
  std::string text = replaced(kSignatures, "%ENTRY%", is_code ? ", entry_point" : "");
  text = replaced(std::move(text), "%EXEC%", is_code ? kExec : "");
  if (!tools.empty()) text += tools + kToolRule;
  text += replaced(kRules, "%ANSWER%", answer_rule(kind));
  if (is_code) return text + kCodeExample;
  const char* format = kind == TaskKind::kMath ? "End with \\\\boxed{result}."
                       : kind == TaskKind::kQa ? "Give only the shortest answer."
                                               : "Give only the letter.";
  return text + replaced(kAnswerExample, "%FORMAT%", format);
}

std::string MetaAgent::query(const Task& task) const {
  std::string query = std::string("Kind: ") + to_string(task.kind) + "\n";
  if (!task.entry_point.empty()) query += "Entry point: " + task.entry_point + "\n";
  if (task.files) {
    query += "Files in the folder of the code that is tested: " + list_files(task.files) + "\n";
  }
  return query + "Task: " + task.prompt;
}

std::vector<ChatMessage> MetaAgent::prompt(const Task& task) const {
  std::string system;
  if (options_.prompt_style == "full") {
    system = contract_text(task.kind, tools_);
  } else {
    system = "Write a Python workflow of worker calls that solves the task.";
    if (!tools_.empty()) system += "\nIt may also call:\n" + tools_ + kToolRule;
  }
  return {{"system", system}, {"user", query(task)}};
}

}  // namespace weft
