#include "workflow/baselines.h"

#include <fmt/format.h>

#include "base/error.h"

namespace weft {
namespace {

struct Form {
  const char* parameters;
  const char* role;
  const char* plain;     ///< instruction of a direct answer
  const char* reasoned;  ///< instruction of a chain of thought
  const char* vote_key;  ///< what is compared in a majority
};

Form form_of(TaskKind kind, CodeForm code) {
  const bool program = code == CodeForm::kProgram;
  switch (kind) {
    case TaskKind::kCode:
      return {"problem, entry_point", "Python programmer",
              program ? "Write only the program." : "Write only the function.",
              program ? "Think step by step, then write the program in one code block."
                      : "Think step by step, then write the function in one code block.",
              "\"\".join(extract_code(a).split())"};
    case TaskKind::kMath:
      return {"problem", "helpful assistant", R"(End with \\boxed{result}.)",
              R"(Think step by step. End with \\boxed{result}.)", "a.split()[-1:]"};
    case TaskKind::kQa:
      return {"problem", "helpful assistant", "Give only the shortest answer.",
              "Think step by step, then give the shortest answer on a line of its own.",
              "a.strip().lower()"};
    case TaskKind::kChoice:
      break;
  }
  return {"problem", "helpful assistant", "End with: the answer is X.",
          "Think step by step. End with: the answer is X.", "a.split()[-1:]"};
}

std::string workflow_text(const Form& form, const std::string& steps) {
  return fmt::format(
      "class Workflow:\n"
      "    def __init__(self, name, llm_config, dataset):\n"
      "        self.llm = create_llm_instance(llm_config)\n"
      "\n"
      "    async def __call__(self, {}):\n"
      "{}"
      "        return answer, self.llm.get_usage_summary()[\"total_cost\"]\n",
      form.parameters, steps);
}

std::string single_call(const Form& form, double temperature, const char* instructions,
                        const char* ending) {
  return workflow_text(
      form, fmt::format("        # Step 1: answer\n"
                        "        answer = (await self.llm.call_llm([problem], {}, 1, \"{}\", "
                        "\"{}\"))[0]\n{}",
                        temperature, form.role, instructions, ending));
}

/// qa answers end in their last line when reasoning comes before it.
const char* last_line(TaskKind kind) {
  return kind == TaskKind::kQa ? "        answer = answer.strip().split(\"\\n\")[-1]\n" : "";
}

}  // namespace

CodeForm code_form(const Task& task) {
  return task.entry_point.empty() ? CodeForm::kProgram : CodeForm::kFunction;
}

std::string io_workflow(TaskKind kind, CodeForm code, double temperature) {
  const Form form = form_of(kind, code);
  return single_call(form, temperature, form.plain, "");
}

std::string cot_workflow(TaskKind kind, CodeForm code, double temperature) {
  const Form form = form_of(kind, code);
  return single_call(form, temperature, form.reasoned, last_line(kind));
}

std::string cot_sc_workflow(TaskKind kind, int samples, CodeForm code, double temperature) {
  if (samples < 1) throw InputError(fmt::format("cot_sc: expected samples >= 1, got {}", samples));
  if (samples > 1 && temperature == 0) {
    throw InputError(fmt::format(
        "cot_sc: expected a temperature above 0, where {} drafts differ, got 0", samples));
  }
  const Form form = form_of(kind, code);
  const char* lines = kind == TaskKind::kQa
                          ? "        answers = [a.strip().split(\"\\n\")[-1] for a in answers]\n"
                          : "";
  return workflow_text(
      form,
      fmt::format("        # Step 1: sample answers\n"
                  "        answers = await self.llm.call_llm([problem], {}, {}, \"{}\", \"{}\")\n"
                  "{}"
                  "        # Step 2: vote\n"
                  "        keys = [{} for a in answers]\n"
                  "        answer = answers[keys.index(max(keys, key=keys.count))]\n",
                  temperature, samples, form.role, form.reasoned, lines, form.vote_key));
}

}  // namespace weft
