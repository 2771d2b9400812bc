#include "workflow/names_query.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

Task task() {
  Task task;
  task.entry_point = "keep";
  task.prompt = "Write `keep(text)`, which returns the letters of `text`.";
  return task;
}

bool names(const std::string& code, std::vector<std::string> strings = {}) {
  Workflow workflow;
  workflow.code = code;
  workflow.facts.parses = true;
  workflow.facts.strings = std::move(strings);
  return names_query(task(), workflow);
}

TEST(NamesQuery, FindsTheEntryPointAsAWord) {
  EXPECT_TRUE(names("x = \"Write keep.\""));
  EXPECT_TRUE(names("keep"));
  EXPECT_TRUE(names("# Step 1: keep it"));
  EXPECT_FALSE(names("keeper = bookkeep + keep_it"));
}

TEST(NamesQuery, FindsAStringOfThePrompt) {
  EXPECT_TRUE(names("", {"returns the letters"}));
  EXPECT_FALSE(names("", {"the", "Write only the function."}));
}

TEST(NamesQuery, LeavesOutTheContractsOwnStrings) {
  Task named = task();
  named.entry_point = "total_cost";
  named.prompt = "Write total_cost(prices) and raise no error.";
  Workflow workflow;
  workflow.code = "return code, usage[\"total_cost\"], usage['total_cost']";
  workflow.facts.parses = true;
  workflow.facts.strings = {"no error", "total_cost"};
  EXPECT_FALSE(names_query(named, workflow));
  workflow.code += "\nf(\"Write total_cost.\")";
  EXPECT_TRUE(names_query(named, workflow));
}

}  // namespace
}  // namespace weft
