#include "workflow/baselines.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "workflow/steps.h"

namespace weft {
namespace {

constexpr TaskKind kAllKinds[] = {TaskKind::kCode, TaskKind::kMath, TaskKind::kQa,
                                  TaskKind::kChoice};

TEST(Baselines, TakeTheEntryPointForCodeOnly) {
  for (const TaskKind kind : kAllKinds) {
    const bool has_entry = io_workflow(kind).find("entry_point") != std::string::npos;
    EXPECT_EQ(has_entry, kind == TaskKind::kCode);
  }
}

TEST(Baselines, SampleAsOftenAsAsked) {
  for (const TaskKind kind : kAllKinds) {
    EXPECT_NE(cot_sc_workflow(kind, 7).find("[problem], 0.7, 7, "), std::string::npos);
    EXPECT_EQ(step_numbers(cot_sc_workflow(kind, 7)), (std::vector<int>{1, 2}));
  }
  EXPECT_THROW(cot_sc_workflow(TaskKind::kCode, 0), InputError);
}

TEST(Baselines, CallAtTheTemperatureThatTheyAreGiven) {
  const CodeForm form = CodeForm::kFunction;
  for (const TaskKind kind : kAllKinds) {
    for (const auto& code : {io_workflow(kind), cot_workflow(kind)}) {
      EXPECT_NE(code.find("call_llm([problem], 0.7, 1, "), std::string::npos) << code;
    }
    for (const auto& code : {io_workflow(kind, form, 0), cot_workflow(kind, form, 0)}) {
      EXPECT_NE(code.find("call_llm([problem], 0, 1, "), std::string::npos) << code;
    }
    EXPECT_NE(cot_sc_workflow(kind, 3, form, 0.25).find("[problem], 0.25, 3, "), std::string::npos);
  }
}

TEST(Baselines, SeveralGreedyDraftsAreRefused) {
  EXPECT_THROW(cot_sc_workflow(TaskKind::kMath, 2, CodeForm::kFunction, 0), InputError);
  EXPECT_NO_THROW(cot_sc_workflow(TaskKind::kMath, 1, CodeForm::kFunction, 0));
}

TEST(Baselines, UseNoTests) {
  for (const TaskKind kind : kAllKinds) {
    for (const auto& code : {io_workflow(kind), cot_workflow(kind), cot_sc_workflow(kind, 3)}) {
      EXPECT_EQ(code.find("exec_code"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace weft
