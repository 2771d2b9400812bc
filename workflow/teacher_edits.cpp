#include "workflow/teacher_edits.h"

#include <fmt/format.h>

#include <functional>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "workflow/steps.h"
#include "workflow/teacher_steps.h"

namespace weft {
namespace {

using enum StepType;

/// A stretch of the code with its possible replacements; one edit replaces it by one of them.
struct Change {
  const char* name;
  size_t begin, length;
  std::vector<std::string> options;
};

/// The steps' own texts, without class header and return line.
struct Body {
  std::vector<StepType> types;
  std::vector<std::string> texts;
};

struct Rebuilt {
  const char* name;
  Body body;
};

std::vector<std::string> without(std::vector<std::string> options, const std::string& current) {
  std::erase(options, current);
  return options;
}

std::vector<std::string> other_temperatures(const std::string& current) {
  std::vector<std::string> options;
  for (const char* option : {"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}) {
    if (std::abs(std::stod(option) - std::stod(current)) > 0.15) options.emplace_back(option);
  }
  return options;
}

/// The edits of one call_llm: temperature, number of responses, role, instruction.
void add_call_changes(const std::smatch& call, size_t offset, const std::string& after,
                      StepType type, const StepWriter& writer, std::vector<Change>& changes) {
  const auto add = [&](const char* name, size_t group, std::vector<std::string> options) {
    if (options.empty()) return;
    changes.push_back({name, offset + static_cast<size_t>(call.position(group)),
                       static_cast<size_t>(call.length(group)), std::move(options)});
  };
  if (call[2] != "t") add("temperature", 2, other_temperatures(call[2]));
  if (after.rfind(")[0]", 0) != 0) add("count", 3, without({"2", "3", "4", "5", "6"}, call[3]));
  add("role", 4, without(writer.roles(type), call[4]));
  add("instruction", 5, without(writer.instructions(type), call[5]));
}

std::vector<Change> changes_of(const Draft& parent, const StepWriter& writer) {
  static const std::regex kCall(
      R"re(call_llm\((\[[^\n"]*?), (\d\.\d|t), (\d+), "([^"\n]*)", (f?"[^"\n]*")\))re");
  std::vector<Change> changes;
  size_t offset = 0;
  for (const auto& step : parent.steps) {
    const StepType type = type_of_step(step).value_or(kOne);
    std::smatch call;
    if (std::regex_search(step, call, kCall)) {
      add_call_changes(call, offset, call.suffix(), type, writer, changes);
    }
    const size_t rounds = step.find("in range(");
    if (type == kRepairLoop && rounds != std::string::npos) {
      const std::string current = step.substr(rounds + 9, 1);
      changes.push_back({"rounds", offset + rounds + 9, 1, without({"1", "2", "3"}, current)});
    }
    offset += step.size();
  }
  return changes;
}

std::string assembled(TaskKind kind, const Body& body) {
  std::string code = workflow_header(kind);
  for (const auto& text : body.texts) code += text;
  return renumber_steps(code + return_line(kind));
}

/// The body of a workflow in the teacher's form; none for any other code.
std::optional<Body> body_of(const Task& task, const Draft& draft) {
  Body body;
  for (const auto& step : draft.steps) {
    const auto type = type_of_step(step);
    if (!type) return std::nullopt;
    body.types.push_back(*type);
    body.texts.push_back(step);
  }
  const std::string header = workflow_header(task.kind), end = return_line(task.kind);
  if (body.texts.empty() || body.texts.front().rfind(header, 0) != 0) return std::nullopt;
  body.texts.front().erase(0, header.size());
  std::string& last = body.texts.back();
  if (last.size() < end.size()) return std::nullopt;
  last.erase(last.size() - end.size());
  if (assembled(task.kind, body) != draft.code) return std::nullopt;
  return body;
}

Body inserted(Body body, size_t at, StepType type, std::string text) {
  body.types.insert(body.types.begin() + static_cast<std::ptrdiff_t>(at), type);
  body.texts.insert(body.texts.begin() + static_cast<std::ptrdiff_t>(at), std::move(text));
  return body;
}

Body removed(Body body, size_t at) {
  body.types.erase(body.types.begin() + static_cast<std::ptrdiff_t>(at));
  body.texts.erase(body.texts.begin() + static_cast<std::ptrdiff_t>(at));
  return body;
}

bool replace_once(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at == std::string::npos) return false;
  text.replace(at, from.size(), to);
  return true;
}

void add_longer(const Task& task, const Body& body, StepWriter& writer,
                std::vector<Rebuilt>& options) {
  const bool is_code = task.kind == TaskKind::kCode;
  const StepType first = body.types.front(), last = body.types.back();
  if (body.types.size() >= 3) return;
  if (is_code && last != kRepair && last != kRepairLoop && last != kAnswer) {
    options.push_back(
        {"repair", inserted(body, body.types.size(), kRepair, writer.write(kRepair, 1, false))});
  }
  if (first == kMany) {
    options.push_back({"more", inserted(body, 1, kMore, writer.write(kMore, 1, false))});
  }
  if (first == kOne || first == kMany) {
    for (const auto& [name, type] : {std::pair{"plan", kPlan}, std::pair{"examples", kExamples}}) {
      Body with_note = inserted(body, 0, type, writer.write(type, 1, false));
      if (replace_once(with_note.texts[1], "[problem]", "[problem, note]")) {
        options.push_back({name, std::move(with_note)});
      }
    }
  }
  if (first == kOne && body.types.size() == 1) {
    const StepType choice = is_code ? kByTests : kVote;
    Body several = removed(body, 0);
    several = inserted(several, 0, kMany, writer.write(kMany, 1, false));
    options.push_back({"choice", inserted(several, 1, choice, writer.write(choice, 2, false))});
  }
}

void add_shorter(const Body& body, std::vector<Rebuilt>& options) {
  const size_t size = body.types.size();
  const StepType last = body.types.back();
  if (size < 2) return;
  if (last == kRepair || last == kRepairLoop || last == kAnswer) {
    options.push_back({"shorter", removed(body, size - 1)});
  }
  for (size_t i = 1; i + 1 < size; ++i) {
    if (body.types[i] == kMore || body.types[i] == kDebate) {
      options.push_back({"shorter", removed(body, i)});
    }
  }
  if (writes_note(body.types[0]) && (body.types[1] == kOne || body.types[1] == kMany)) {
    Body without_note = removed(body, 0);
    if (replace_once(without_note.texts[0], "[problem, note]", "[problem]")) {
      options.push_back({"shorter", std::move(without_note)});
    }
  }
}

}  // namespace

Draft edited(const Task& task, const Draft& parent, Rng& rng) {
  StepWriter writer(task, rng);
  const auto body = body_of(task, parent);
  const std::string base = body ? kind_name(task.kind, body->types) : parent.kind;
  const auto changes = changes_of(parent, writer);
  std::vector<Rebuilt> rebuilt;
  if (body) {
    add_longer(task, *body, writer, rebuilt);
    add_shorter(*body, rebuilt);
  }
  Draft draft = parent;
  draft.kind = base + "+unchanged";
  const bool restructure = !rebuilt.empty() && (changes.empty() || rng.below(2) == 0);
  if (restructure) {
    const Rebuilt& option = rebuilt[rng.below(rebuilt.size())];
    draft.code = assembled(task.kind, option.body);
    draft.reasoning = writer.reasoning(option.body.types);
    draft.kind = kind_name(task.kind, option.body.types) + "+" + option.name;
  } else if (!changes.empty()) {
    const Change& change = changes[rng.below(changes.size())];
    draft.code.replace(change.begin, change.length,
                       change.options[rng.below(change.options.size())]);
    draft.kind = base + "+" + change.name;
  }
  draft.steps = split_steps(draft.code);
  return draft;
}

}  // namespace weft
