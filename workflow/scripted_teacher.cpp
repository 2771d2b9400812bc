#include "workflow/scripted_teacher.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "workflow/completion_form.h"
#include "workflow/python_text.h"
#include "workflow/steps.h"
#include "workflow/teacher_edits.h"
#include "workflow/teacher_steps.h"

namespace weft {
namespace {

using Types = std::vector<StepType>;

/// Types of the steps; none if one of them has no teacher's title.
std::optional<Types> types_of(const std::vector<std::string>& steps) {
  Types types;
  for (const auto& step : steps) {
    const auto type = type_of_step(step);
    if (!type) return std::nullopt;
    types.push_back(*type);
  }
  return types;
}

/// Whether a statement of the code is `variable = ...`.
bool assigns(const std::string& code, const std::string& variable) {
  const auto lines = code_lines(code);
  return std::any_of(lines.begin(), lines.end(), [&](std::string_view line) {
    return trimmed(line).starts_with(variable + " = ");
  });
}

/// Whether the steps end as the teacher ends a workflow.
bool ends(const Task& task, const std::vector<std::string>& steps) {
  return !steps.empty() && steps.back().ends_with(return_line(task.kind));
}

/// What may follow a prefix that is like no kind: (type, whether the workflow ends with it).
std::vector<std::pair<StepType, bool>> open_continuations(const Task& task,
                                                          const std::string& code) {
  const bool is_code = task.kind == TaskKind::kCode;
  const bool has_many = assigns(code, is_code ? "codes" : "answers");
  if (assigns(code, is_code ? "code" : "answer")) {
    if (is_code) return {{StepType::kAnswer, true}, {StepType::kRepair, true}};
    return {{StepType::kAnswer, true}};
  }
  if (has_many) return {{is_code ? StepType::kByTests : StepType::kVote, true}};
  return {{StepType::kOne, true}, {StepType::kMany, false}};
}

std::vector<std::pair<StepType, bool>> continuations(const Task& task,
                                                     const std::vector<std::string>& prefix) {
  std::vector<std::pair<StepType, bool>> choices;
  if (const auto types = types_of(prefix)) {
    for (const auto& kind : workflow_kinds(task.kind)) {
      if (kind.types.size() > types->size() &&
          std::equal(types->begin(), types->end(), kind.types.begin())) {
        choices.emplace_back(kind.types[types->size()], kind.types.size() == types->size() + 1);
      }
    }
  }
  return choices.empty() ? open_continuations(task, join_steps(prefix)) : choices;
}

std::string written_step(const Task& task, const std::vector<std::string>& prefix, StepType type,
                         bool last, StepWriter& writer) {
  std::string step = prefix.empty() ? workflow_header(task.kind) : "";
  const int number = static_cast<int>(step_numbers(join_steps(prefix)).size()) + 1;
  step += writer.write(type, number, assigns(join_steps(prefix), "note"));
  if (last) step += return_line(task.kind);
  return step;
}

Draft finished_draft(const Task& task, std::vector<std::string> steps, StepWriter& writer) {
  Draft draft;
  const auto types = types_of(steps);
  draft.kind = types ? kind_name(task.kind, *types) : "composed";
  draft.reasoning = writer.reasoning(types ? *types : Types{StepType::kOne});
  draft.code = join_steps(steps);
  draft.steps = std::move(steps);
  return draft;
}

}  // namespace

std::vector<std::string> ScriptedTeacher::kinds(TaskKind kind) {
  std::vector<std::string> names;
  for (const auto& candidate : workflow_kinds(kind)) names.emplace_back(candidate.name);
  return names;
}

Draft ScriptedTeacher::draft(const Task& task, Rng& rng) const {
  const auto names = kinds(task.kind);
  return draft(task, names[rng.below(names.size())], rng);
}

Draft ScriptedTeacher::draft(const Task& task, const std::string& kind, Rng& rng) const {
  for (const auto& candidate : workflow_kinds(task.kind)) {
    if (kind != candidate.name) continue;
    StepWriter writer(task, rng);
    std::vector<std::string> steps;
    for (const StepType type : candidate.types) {
      const bool last = steps.size() + 1 == candidate.types.size();
      steps.push_back(written_step(task, steps, type, last, writer));
    }
    return finished_draft(task, std::move(steps), writer);
  }
  throw InputError(fmt::format("scripted teacher: no workflow kind \"{}\" for {} tasks", kind,
                               to_string(task.kind)));
}

std::string ScriptedTeacher::next_step(const Task& task, const std::vector<std::string>& prefix,
                                       Rng& rng) const {
  if (ends(task, prefix)) return "";
  const auto choices = continuations(task, prefix);
  const auto [type, last] = choices[rng.below(choices.size())];
  StepWriter writer(task, rng);
  return written_step(task, prefix, type, last, writer);
}

Draft ScriptedTeacher::complete(const Task& task, const std::vector<std::string>& prefix,
                                Rng& rng) const {
  std::vector<std::string> steps = prefix;
  while (!ends(task, steps)) {
    if (!steps.empty() && steps.back().back() != '\n') steps.back() += '\n';
    steps.push_back(next_step(task, steps, rng));
  }
  return finished(task, std::move(steps), rng);
}

Draft ScriptedTeacher::finished(const Task& task, std::vector<std::string> steps, Rng& rng) const {
  StepWriter writer(task, rng);
  return finished_draft(task, std::move(steps), writer);
}

Draft ScriptedTeacher::refine(const Task& task, const Draft& parent, Rng& rng) const {
  return edited(task, parent, rng);
}

}  // namespace weft
