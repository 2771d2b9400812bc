#include "workflow/teacher_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "workflow/steps.h"

namespace weft {
namespace {

using enum StepType;

constexpr const char* kIndent = "        ";

struct TypeInfo {
  StepType type;
  const char* title;
  const char* deed;                 ///< "So I ..." in a reasoning
  std::vector<const char*> motive;  ///< why such a step comes first
};

const std::vector<TypeInfo>& type_infos() {
  static const std::vector<TypeInfo> kInfos = {
      {kPlan,
       "plan",
       "ask for a plan",
       {"The order of the steps matters.", "A plan avoids a slip."}},
      {kExamples,
       "examples",
       "work out examples",
       {"Examples make the rule clear.", "The rule is easier to see on examples."}},
      {kEdges,
       "edge cases",
       "list the edge cases",
       {"Edge cases are easy to miss.", "Odd inputs such as empty ones may break it."}},
      {kParts, "split", "split it into parts", {"It has two parts.", "Smaller parts are easier."}},
      {kOne, "draft", "write one draft", {"It is short.", "A direct draft is a good start."}},
      {kMany,
       "drafts",
       "sample several drafts",
       {"One draft may be wrong.", "Drafts differ, and some will be right."}},
      {kMore, "more drafts", "add bolder drafts", {"Bold drafts may help."}},
      {kByTests, "keep a passing draft", "keep one that passes the tests", {"Tests decide."}},
      {kVote, "vote", "take the most common", {"The majority is often right."}},
      {kJudge, "judge", "let a judge pick", {"A judge can compare."}},
      {kRepair, "repair", "repair it if a test fails", {"A failed test shows the bug."}},
      {kRepairLoop, "repair rounds", "repair it until the tests pass", {"Errors guide repairs."}},
      {kReview, "review", "ask for a review", {"A reviewer sees bugs."}},
      {kRevise, "revise", "revise it", {"A bug can be removed."}},
      {kRising,
       "retry hotter",
       "retry at a higher temperature until a draft passes",
       {"An early draft may pass already.", "Easy tasks need one try, hard ones more."}},
      {kDebate, "debate", "let a critic answer them", {"A critic sees mistakes."}},
      {kCodeParts, "solve the parts", "solve each part", {"Each part is small."}},
      {kCombine, "combine", "combine them", {"The parts belong together."}},
      {kAnswer, "answer", "answer", {"It is done."}}};
  return kInfos;
}

const TypeInfo& info_of(StepType type) {
  const auto& infos = type_infos();
  return *std::find_if(infos.begin(), infos.end(),
                       [type](const TypeInfo& info) { return info.type == type; });
}

/// The variables' names and the format of a final answer for a task kind.
struct Names {
  const char* one;
  const char* many;
  const char* format;
};

Names names_of(TaskKind kind) {
  switch (kind) {
    case TaskKind::kCode:
      return {"code", "codes", "Code only."};
    case TaskKind::kMath:
      return {"answer", "answers", R"(End with \\boxed{result}.)"};
    case TaskKind::kQa:
      return {"answer", "answers", "Give only the shortest answer."};
    case TaskKind::kChoice:
      break;
  }
  return {"answer", "answers", "End with: the answer is X."};
}

/// Source of a Python string.
std::string literal(const std::string& text) { return "\"" + text + "\""; }

}  // namespace

const std::vector<WorkflowKind>& workflow_kinds(TaskKind kind) {
  static const std::vector<WorkflowKind> kCodeKinds = {
      {"single_call", {kOne}},
      {"plan_then_code", {kPlan, kOne}},
      {"examples_first", {kExamples, kOne}},
      {"edge_cases_first", {kEdges, kOne}},
      {"self_consistency", {kMany, kVote}},
      {"drafts_by_tests", {kMany, kByTests}},
      {"two_temperatures_by_tests", {kMany, kMore, kByTests}},
      {"plan_drafts_by_tests", {kPlan, kMany, kByTests}},
      {"examples_drafts_by_tests", {kExamples, kMany, kByTests}},
      {"ensemble_judge", {kMany, kJudge}},
      {"debate_by_tests", {kMany, kDebate, kByTests}},
      {"drafts_then_repair", {kMany, kByTests, kRepair}},
      {"generate_test_repair", {kOne, kRepair}},
      {"two_round_repair", {kOne, kRepairLoop}},
      {"review_revise", {kOne, kReview, kRevise}},
      {"decompose_combine", {kParts, kCodeParts, kCombine}},
      {"fallback_chain", {kRising}},
      {"fallback_then_repair", {kRising, kRepair}}};
  static const std::vector<WorkflowKind> kAnswerKinds = {
      {"single_call", {kOne}},
      {"plan_then_answer", {kPlan, kOne}},
      {"examples_first", {kExamples, kOne}},
      {"self_consistency", {kMany, kVote}},
      {"two_temperatures_vote", {kMany, kMore, kVote}},
      {"plan_then_vote", {kPlan, kMany, kVote}},
      {"ensemble_judge", {kMany, kJudge}},
      {"debate_vote", {kMany, kDebate, kVote}},
      {"review_revise", {kOne, kReview, kRevise}},
      {"decompose_combine", {kParts, kCodeParts, kCombine}}};
  return kind == TaskKind::kCode ? kCodeKinds : kAnswerKinds;
}

std::string kind_name(TaskKind kind, const std::vector<StepType>& types) {
  for (const auto& candidate : workflow_kinds(kind)) {
    if (candidate.types == types) return candidate.name;
  }
  return "composed";
}

std::optional<StepType> type_of_step(const std::string& step) {
  const std::string title = first_step_title(step);
  for (const auto& info : type_infos()) {
    if (title == info.title) return info.type;
  }
  return std::nullopt;
}

bool writes_note(StepType type) {
  return type == kPlan || type == kExamples || type == kEdges || type == kParts || type == kReview;
}

std::string workflow_header(TaskKind kind) {
  return fmt::format(
      "class Workflow:\n"
      "    def __init__(self, name, llm_config, dataset):\n"
      "        self.llm = create_llm_instance(llm_config)\n"
      "\n"
      "    async def __call__(self, problem{}):\n",
      kind == TaskKind::kCode ? ", entry_point" : "");
}

std::string return_line(TaskKind kind) {
  return fmt::format("{}return {}, self.llm.get_usage_summary()[\"total_cost\"]\n", kIndent,
                     names_of(kind).one);
}

std::string StepWriter::write(StepType type, int number, bool has_note) {
  return fmt::format("{}# Step {}: {}\n{}", kIndent, number, info_of(type).title,
                     body(type, has_note));
}

std::string StepWriter::reasoning(const std::vector<StepType>& types) {
  const std::vector<std::string> openers =
      words_.is_predicate
          ? std::vector<std::string>{fmt::format("{} {}.", words_.call, words_.phrase),
                                     fmt::format("This {} task, {}, {}.", words_.topic,
                                                 words_.entry, words_.phrase)}
          : std::vector<std::string>{fmt::format("The task is: {}.", words_.phrase),
                                     fmt::format("It asks: {}.", words_.phrase)};
  std::string text = pick(openers);
  text += std::string(" ") + pick(info_of(types.front()).motive) + " So I ";
  std::vector<const char*> deeds;
  for (const StepType type : types) {
    if (type != kAnswer) deeds.push_back(info_of(type).deed);
  }
  for (size_t i = 0; i < deeds.size(); ++i) {
    text += i == 0 ? "" : i + 1 < deeds.size() ? ", " : " and ";
    text += deeds[i];
  }
  return text + ".";
}

std::vector<std::string> StepWriter::roles(StepType type) const {
  const bool is_code = task_.kind == TaskKind::kCode;
  const char* expert = is_code ? "Python expert" : "expert";
  switch (type) {
    case kPlan:
    case kParts:
      return {"planner", "software architect", expert};
    case kExamples:
    case kEdges:
      return {"teacher", "careful tester", expert};
    case kJudge:
      return {"strict judge", "judge"};
    case kRepair:
    case kRepairLoop:
      return {"debugger", "Python debugger"};
    case kReview:
    case kDebate:
      return {"critic", "code reviewer"};
    default:
      break;
  }
  if (!is_code) return {"careful solver", "patient teacher", expert};
  return {"Python programmer", "careful programmer", expert};
}

std::vector<std::string> StepWriter::answer_instructions(StepType type) const {
  const std::string format = names_of(task_.kind).format;
  switch (type) {
    case kPlan:
      return {"List the steps to find the answer.", "Make a short plan. Do not solve it."};
    case kExamples:
      return {"Solve a smaller example first.", "Explain a similar example."};
    case kParts:
      return {"Split the question into two smaller ones, one a line.",
              "Name two parts, one a line."};
    case kCodeParts:
      return {"Solve this part only.", "Answer this part."};
    case kReview:
      return {"Name one mistake in the answer.", "Check the answer. Say what is wrong."};
    case kJudge:
      return {"Which answer is right? Reply with its number.",
              "Reply with the number of the best."};
    case kRevise:
      return {"Correct the answer. " + format, "Rewrite it without the mistake. " + format};
    case kCombine:
      return {"Combine the parts. " + format, "Use the parts to answer. " + format};
    case kDebate:
      return {"Some of these are wrong. " + format, "Find the mistakes, then answer. " + format};
    default:
      break;
  }
  return {format, "Think step by step. " + format, "Be brief. " + format};
}

std::string StepWriter::about_entry(const std::string& before, const std::string& after) const {
  if (task_.entry_point.empty()) return literal(before + "the program" + after);
  return "f" + literal(before + "{entry_point}" + after);
}

std::vector<std::string> StepWriter::instructions(StepType type) const {
  if (task_.kind != TaskKind::kCode) {
    std::vector<std::string> literals;
    for (const auto& text : answer_instructions(type)) literals.push_back(literal(text));
    return literals;
  }
  switch (type) {
    case kPlan:
      return {about_entry("List the steps of ", "."), literal("Make a short plan. No code.")};
    case kExamples:
      return {about_entry("Work out two examples of ", "."),
              literal("Explain two small examples.")};
    case kEdges:
      return {about_entry("List the edge cases of ", "."),
              literal("Name inputs that could go wrong.")};
    case kParts:
      return {about_entry("Name two parts of ", ", one a line."),
              literal("Name two subtasks, one a line.")};
    case kCodeParts:
      return {about_entry("Write a helper for this part of ", "."),
              literal("Write code for this part.")};
    case kCombine:
      return {about_entry("Combine these parts into ", ". Code only."),
              about_entry("From these parts write ", ".")};
    case kJudge:
      return {about_entry("Which draft of ", " is correct? Reply with its number."),
              literal("Reply with the number of the best.")};
    case kRepair:
    case kRepairLoop:
      return {about_entry("Correct the code of ", ". Code only."),
              literal("Fix the bug. Code only.")};
    case kReview:
      return {about_entry("Name one bug in ", "."), literal("Say what is wrong in this code.")};
    case kRevise:
      return {about_entry("Remove the bug from ", ". Code only."),
              literal("Write the corrected code only.")};
    case kDebate:
      return {about_entry("Some of these are wrong. Write a correct ", "."),
              about_entry("Find the mistakes and write ", ".")};
    default:
      break;
  }
  const bool program = task_.entry_point.empty();
  return {about_entry(program ? "Write only " : "Write only the function ", "."),
          about_entry("Reply with the Python code of ", "."),
          literal(program ? "Write only the program. No text." : "Write only the function."),
          literal("Solve the task. Code only.")};
}

std::string StepWriter::temperature(StepType type) {
  switch (type) {
    case kMany:
      return pick<std::string>({"0.4", "0.6", "0.8"});
    case kMore:
      return pick<std::string>({"0.8", "1.0"});
    case kJudge:
      return "0.0";
    case kDebate:
      return pick<std::string>({"0.4", "0.6"});
    default:
      return pick<std::string>({"0.2", "0.4", "0.6"});
  }
}

int StepWriter::count(StepType type) {
  switch (type) {
    case kMany:
      return pick<int>({2, 3, 4, 5});
    case kMore:
      return pick<int>({2, 3});
    case kDebate:
      return pick<int>({1, 2});
    default:
      return 1;
  }
}

std::string StepWriter::call(const std::string& messages, const std::string& temperature, int n,
                             StepType type) {
  const std::string role = pick(roles(type));
  const std::string instruction = pick(instructions(type));
  return fmt::format(R"(self.llm.call_llm({}, {}, {}, "{}", {}))", messages, temperature, n, role,
                     instruction);
}

std::string StepWriter::call(const std::string& messages, StepType type) {
  const std::string degree = temperature(type);
  return call(messages, degree, count(type), type);
}

std::string StepWriter::draft_messages(bool has_note) const {
  return has_note ? "[problem, note]" : "[problem]";
}

std::string StepWriter::body(StepType type, bool has_note) {
  const Names names = names_of(task_.kind);
  const std::string in = kIndent, one = names.one, many = names.many;
  switch (type) {
    case kPlan:
    case kExamples:
    case kEdges:
    case kParts:
      return fmt::format("{}note = (await {})[0]\n", in, call("[problem]", type));
    case kOne:
      return fmt::format("{}{} = (await {})[0]\n", in, one, call(draft_messages(has_note), type));
    case kMany:
      return fmt::format("{}{} = await {}\n", in, many, call(draft_messages(has_note), type));
    case kMore:
      return fmt::format("{}{} += await {}\n", in, many, call("[problem]", type));
    case kDebate:
      return fmt::format("{}{} += await {}\n", in, many, call("[problem] + " + many, type));
    case kReview:
      return fmt::format("{}note = (await {})[0]\n", in, call("[problem, " + one + "]", type));
    case kRevise:
      return fmt::format("{}{} = (await {})[0]\n", in, one,
                         call("[problem, " + one + ", note]", type));
    case kCodeParts:
      return fmt::format("{}{} = [(await {})[0] for part in note.split(\"\\n\")[:2]]\n", in, many,
                         call("[problem, part]", type));
    case kCombine:
      return fmt::format("{}{} = (await {})[0]\n", in, one, call("[problem] + " + many, type));
    default:
      return choosing_body(type);
  }
}

std::string StepWriter::choosing_body(StepType type) {
  const Names names = names_of(task_.kind);
  const std::string in = kIndent, one = names.one, many = names.many;
  switch (type) {
    case kByTests:
      return in +
             "code = next((c for c in codes if exec_code(c, entry_point) == \"no error\"), "
             "codes[0])\n";
    case kVote: {
      const char* key = task_.kind == TaskKind::kCode ? "\"\".join(c.split())"
                        : task_.kind == TaskKind::kQa ? "c.strip().lower()"
                                                      : "c.split()[-1:]";
      return fmt::format(
          "{0}keys = [{1} for c in {2}]\n{0}{3} = {2}[keys.index(max(keys, key=keys.count))]\n", in,
          key, many, one);
    }
    case kJudge:
      return fmt::format(
          "{0}pick = (await {1})[0]\n{0}{2} = next((c for i, c in enumerate({3}, 1) if str(i) in "
          "pick), {3}[0])\n",
          in, call("[problem] + " + many, type), one, many);
    case kRepair:
      return fmt::format(
          "{0}error = exec_code(code, entry_point)\n{0}if error != \"no error\":\n{0}    code = "
          "(await {1})[0]\n",
          in, call("[problem, code, str(error)[:200]]", type));
    case kRepairLoop: {
      const int rounds = pick<int>({2, 3});
      return fmt::format(
          "{0}for _ in range({1}):\n{0}    error = exec_code(code, entry_point)\n{0}    if error "
          "== \"no error\":\n{0}        break\n{0}    code = (await {2})[0]\n",
          in, rounds, call("[problem, code, str(error)[:200]]", type));
    }
    case kRising: {
      const std::string degrees =
          pick<std::string>({"[0.0, 0.5, 0.8]", "[0.2, 0.6, 0.9]", "[0.3, 0.5, 0.7, 0.9]"});
      return fmt::format(
          "{0}for t in {1}:\n{0}    code = (await {2})[0]\n{0}    if exec_code(code, entry_point) "
          "== \"no error\":\n{0}        break\n",
          in, degrees, call("[problem]", "t", 1, type));
    }
    default:
      return "";
  }
}

}  // namespace weft
