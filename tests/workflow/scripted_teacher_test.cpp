#include "workflow/scripted_teacher.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "tests/workflow/teacher_tasks.h"
#include "workflow/steps.h"

namespace weft {
namespace {

using test::all_task_kinds;
using test::teacher_task;

const ScriptedTeacher kTeacher;

void expect_well_formed(const Draft& draft) {
  EXPECT_EQ(join_steps(draft.steps), draft.code);
  EXPECT_EQ(split_steps(draft.code), draft.steps);
  EXPECT_NE(draft.code.rfind("        return "), std::string::npos);
  const auto numbers = step_numbers(draft.code);
  ASSERT_EQ(numbers.size(), draft.steps.size());
  for (size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(numbers[i], static_cast<int>(i) + 1);
  EXPECT_FALSE(draft.reasoning.empty());
  EXPECT_EQ(draft.reasoning.find('\n'), std::string::npos);
}

TEST(ScriptedTeacher, HasAtLeastTwelveKindsForCode) {
  const auto names = ScriptedTeacher::kinds();
  EXPECT_GE(std::set<std::string>(names.begin(), names.end()).size(), 12u);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

TEST(ScriptedTeacher, WritesWhatItsKindSays) {
  Rng rng(1);
  for (const TaskKind kind : all_task_kinds()) {
    for (const auto& name : ScriptedTeacher::kinds(kind)) {
      for (int i = 0; i < 4; ++i) {
        const Draft draft = kTeacher.draft(teacher_task(kind, i), name, rng);
        EXPECT_EQ(draft.kind, name);
        expect_well_formed(draft);
      }
    }
  }
  EXPECT_THROW(kTeacher.draft(teacher_task(), "no such kind", rng), InputError);
}

TEST(ScriptedTeacher, RefersToTheQuery) {
  Rng rng(2);
  for (const auto& name : ScriptedTeacher::kinds()) {
    const Draft draft = kTeacher.draft(teacher_task(), name, rng);
    EXPECT_NE(draft.reasoning.find("count_vowels"), std::string::npos);
    EXPECT_NE(draft.reasoning.find("returns the number of vowels"), std::string::npos);
  }
}

TEST(ScriptedTeacher, AsksForAProgramWhereThereIsNoEntryPoint) {
  Task task = teacher_task();
  task.entry_point.clear();
  Rng rng(3);
  bool asked = false;
  for (const auto& name : ScriptedTeacher::kinds()) {
    for (int i = 0; i < 4; ++i) {
      const Draft draft = kTeacher.draft(task, name, rng);
      asked = asked || draft.code.find("the program") != std::string::npos;
      EXPECT_EQ(draft.code.find("entry_point}"), std::string::npos) << draft.code;
      EXPECT_EQ(draft.code.find("the function"), std::string::npos) << draft.code;
      EXPECT_EQ(draft.code.find("the answer"), std::string::npos) << draft.code;
    }
  }
  EXPECT_TRUE(asked);
}

TEST(ScriptedTeacher, IsAFunctionOfTaskAndDraws) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rng a(seed), b(seed);
    const Draft first = kTeacher.draft(teacher_task(), a),
                second = kTeacher.draft(teacher_task(), b);
    EXPECT_EQ(first.code, second.code);
    EXPECT_EQ(first.reasoning, second.reasoning);
    EXPECT_EQ(kTeacher.refine(teacher_task(), first, a).code,
              kTeacher.refine(teacher_task(), second, b).code);
  }
}

TEST(ScriptedTeacher, DrawsManyDifferentWorkflows) {
  Rng rng(3);
  std::set<std::string> codes;
  for (int i = 0; i < 200; ++i) codes.insert(kTeacher.draft(teacher_task(), rng).code);
  EXPECT_GT(codes.size(), 150u);
}

TEST(ScriptedTeacher, ExtendsStepByStepToAWholeWorkflow) {
  Rng rng(4);
  std::set<std::string> kinds;
  for (const TaskKind kind : all_task_kinds()) {
    for (int i = 0; i < 100; ++i) {
      const Task task = teacher_task(kind, i);
      std::vector<std::string> steps;
      for (std::string step; !(step = kTeacher.next_step(task, steps, rng)).empty();) {
        steps.push_back(step);
        ASSERT_LE(steps.size(), 6u);
        EXPECT_EQ(split_steps(join_steps(steps)), steps);
      }
      const Draft draft = kTeacher.complete(task, steps, rng);
      EXPECT_EQ(draft.steps, steps);
      expect_well_formed(draft);
      kinds.insert(draft.kind);
    }
  }
  EXPECT_EQ(kinds.count("composed"), 0u);
  EXPECT_GE(kinds.size(), 16u);
}

TEST(ScriptedTeacher, KeepsThePrefixItCompletes) {
  Rng rng(5);
  for (int i = 0; i < 200; ++i) {
    const Task task = teacher_task(TaskKind::kCode, i);
    Draft parent = kTeacher.refine(task, kTeacher.draft(task, rng), rng);
    for (size_t length = 0; length <= parent.steps.size(); ++length) {
      const std::vector<std::string> prefix(parent.steps.begin(),
                                            parent.steps.begin() + static_cast<long>(length));
      const Draft draft = kTeacher.complete(task, prefix, rng);
      expect_well_formed(draft);
      ASSERT_GE(draft.steps.size(), length);
      EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), draft.steps.begin()));
    }
  }
}

TEST(ScriptedTeacher, ContinuesAPrefixItHasNotWritten) {
  Rng rng(6);
  const std::string head =
      "class Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
      "        self.llm = create_llm_instance(llm_config)\n\n"
      "    async def __call__(self, problem, entry_point):\n";
  for (const std::string body : {"        # Step 1: something else\n        x = 1\n",
                                 "        # Step 1: my drafts\n        codes = [problem]\n",
                                 "        # Step 1: my draft\n        code = problem"}) {
    expect_well_formed(kTeacher.complete(teacher_task(), {head + body + "\n"}, rng));
  }
}

}  // namespace
}  // namespace weft
