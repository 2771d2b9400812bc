#include "workflow/teacher_edits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/workflow/teacher_tasks.h"
#include "workflow/steps.h"

namespace weft {
namespace {

using test::all_task_kinds;
using test::teacher_task;

const ScriptedTeacher kTeacher;

const std::set<std::string> kInPlace = {"temperature", "count", "role", "instruction", "rounds"};

std::string edit_of(const Draft& draft) { return draft.kind.substr(draft.kind.find('+') + 1); }

size_t num_steps_that_differ(const Draft& a, const Draft& b) {
  size_t differing = 0;
  for (size_t i = 0; i < a.steps.size(); ++i) differing += a.steps[i] != b.steps[i];
  return differing;
}

/// Number of positions of the shortest text that has to be replaced to get from a to b.
std::pair<std::string, std::string> difference(const std::string& a, const std::string& b) {
  size_t head = 0, tail = 0;
  while (head < std::min(a.size(), b.size()) && a[head] == b[head]) ++head;
  while (tail < std::min(a.size(), b.size()) - head &&
         a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) {
    ++tail;
  }
  return {a.substr(head, a.size() - head - tail), b.substr(head, b.size() - head - tail)};
}

TEST(TeacherEdits, ChangeExactlyOneThing) {
  Rng rng(1);
  std::set<std::string> seen;
  for (int i = 0; i < 4000; ++i) {
    const Task task = teacher_task(all_task_kinds()[static_cast<size_t>(i) % 4], i / 4);
    const Draft parent = kTeacher.draft(task, rng);
    const Draft child = kTeacher.refine(task, parent, rng);
    seen.insert(edit_of(child));
    ASSERT_NE(child.code, parent.code);
    EXPECT_EQ(join_steps(child.steps), child.code);
    if (kInPlace.count(edit_of(child))) {
      ASSERT_EQ(child.steps.size(), parent.steps.size());
      EXPECT_EQ(num_steps_that_differ(parent, child), 1u);
      const auto [from, to] = difference(parent.code, child.code);
      const char* outside = edit_of(child) == "instruction" ? "\n" : "\"\n";
      EXPECT_EQ((from + to).find_first_of(outside), std::string::npos) << from << " -> " << to;
      EXPECT_EQ(child.reasoning, parent.reasoning);
    } else {
      const auto change =
          static_cast<long>(child.steps.size()) - static_cast<long>(parent.steps.size());
      EXPECT_EQ(std::abs(change), 1) << child.kind;
      EXPECT_EQ(change < 0, edit_of(child) == "shorter");
    }
  }
  for (const char* edit : {"temperature", "count", "role", "instruction", "rounds", "repair",
                           "more", "plan", "examples", "choice", "shorter"}) {
    EXPECT_TRUE(seen.count(edit)) << edit;
  }
}

TEST(TeacherEdits, ALongChainStaysWholeAndSmall) {
  Rng rng(2);
  for (int chain = 0; chain < 20; ++chain) {
    const Task task = teacher_task(all_task_kinds()[static_cast<size_t>(chain) % 4], chain);
    Draft draft = kTeacher.draft(task, rng);
    for (int i = 0; i < 50; ++i) {
      draft = kTeacher.refine(task, draft, rng);
      ASSERT_LE(draft.steps.size(), 3u);
      ASSERT_EQ(std::count(draft.kind.begin(), draft.kind.end(), '+'), 1);
    }
  }
}

TEST(TeacherEdits, LeaveForeignCodeUnchangedWhenTheyFindNothing) {
  Rng rng(3);
  Draft parent;
  parent.kind = "mine";
  parent.code = "class Workflow:\n    pass\n";
  parent.steps = split_steps(parent.code);
  const Draft child = kTeacher.refine(teacher_task(), parent, rng);
  EXPECT_EQ(child.code, parent.code);
  EXPECT_EQ(child.kind, "mine+unchanged");
}

TEST(TeacherEdits, RemoveTheNoteTogetherWithItsUse) {
  Rng rng(4);
  for (int i = 0; i < 200; ++i) {
    const Draft child =
        kTeacher.refine(teacher_task(), kTeacher.draft(teacher_task(), "plan_then_code", rng), rng);
    if (edit_of(child) == "shorter") {
      EXPECT_EQ(child.code.find("note"), std::string::npos);
      EXPECT_EQ(child.kind, "single_call+shorter");
      return;
    }
  }
  FAIL() << "no edit removed the plan";
}

}  // namespace
}  // namespace weft
