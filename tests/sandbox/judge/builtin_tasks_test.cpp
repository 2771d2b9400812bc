// The built-in tasks are fair: every reference solution passes all of its task's tests.
#include <gtest/gtest.h>

#include <map>

#include "base/jsonl.h"
#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

TEST(BuiltinTasks, EveryReferencePassesItsOwnTests) {
  const auto folder = test::source_dir() / "data/builtin";
  std::map<std::string, std::string> references;
  JsonlLine line;
  JsonlReader reference_file(folder / "references.jsonl");
  while (reference_file.next(line)) references[line.value.at("id")] = line.value.at("code");
  int num_tasks = 0;
  for (const char* split : {"train.jsonl", "validation.jsonl", "test.jsonl"}) {
    JsonlReader tasks(folder / split);
    while (tasks.next(line)) {
      const std::string id = line.value.at("id");
      ASSERT_TRUE(references.count(id)) << id;
      auto request = test::call_request(references[id], line.value.at("entry_point"));
      for (const auto& [group, tests] : line.value.at("tests").items()) {
        for (const auto& test : tests) request.tests.push_back(test);
      }
      const Verdict verdict = test::shared_judge().run(request);
      EXPECT_EQ(verdict.row_verdict(), "PASS") << id << " " << to_json(verdict).dump();
      ++num_tasks;
    }
  }
  EXPECT_GE(num_tasks, 160);
}

}  // namespace
}  // namespace weft
