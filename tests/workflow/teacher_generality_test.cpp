// What the scripted teacher writes for one query can be given any other: no word of the query is in
// it.
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "data/task.h"
#include "tests/support/support.h"
#include "workflow/scripted_teacher.h"
#include "workflow/steps.h"

namespace weft {
namespace {

const ScriptedTeacher kTeacher;

std::vector<Task> builtin_tasks() {
  std::vector<Task> tasks;
  for (const char* split : {"train", "validation", "test"}) {
    const auto path = test::source_dir() / "data/builtin" / (std::string(split) + ".jsonl");
    for (auto& task : load_tasks(path)) tasks.push_back(std::move(task));
  }
  return tasks;
}

/// Code of every move of the teacher: each kind drafted, a chain of edits, a workflow grown step by
/// step, and every prefix of the edited one completed.
std::vector<std::string> codes_of(const Task& task, uint64_t seed) {
  Rng rng(seed);
  std::vector<std::string> codes;
  for (const auto& kind : ScriptedTeacher::kinds(task.kind)) {
    codes.push_back(kTeacher.draft(task, kind, rng).code);
  }
  Draft edited = kTeacher.draft(task, rng);
  for (int i = 0; i < 8; ++i) {
    edited = kTeacher.refine(task, edited, rng);
    codes.push_back(edited.code);
  }
  std::vector<std::string> grown;
  for (std::string step; !(step = kTeacher.next_step(task, grown, rng)).empty();) {
    grown.push_back(step);
  }
  codes.push_back(join_steps(grown));
  std::vector<std::string> prefix;
  for (const auto& step : edited.steps) {
    codes.push_back(kTeacher.complete(task, prefix, rng).code);
    prefix.push_back(step);
  }
  return codes;
}

/// Without the return line's key "total_cost": that word is the contract's, not the grammar's, and
/// happens to be the name of a built-in task.
std::string without_contract(std::string code) {
  const std::string line = "self.llm.get_usage_summary()[\"total_cost\"]";
  const size_t at = code.find(line);
  return at == std::string::npos ? code : code.erase(at, line.size());
}

bool holds_word(const std::string& code, const std::string& word) {
  return code.find(word) != std::string::npos &&
         std::regex_search(code, std::regex("\\b" + word + "\\b"));
}

/// Every string of four characters or more, an f-string cut at its fields.
std::set<std::string> strings_in(const std::string& code) {
  static const std::regex kString(R"re("([^"\n]*)")re"), kField(R"(\{\w+\})");
  std::set<std::string> strings;
  for (std::sregex_iterator match(code.begin(), code.end(), kString), end; match != end; ++match) {
    const std::string text = (*match)[1];
    std::sregex_token_iterator part(text.begin(), text.end(), kField, -1), no_part;
    for (; part != no_part; ++part) {
      if (part->length() >= 4) strings.insert(*part);
    }
  }
  return strings;
}

TEST(TeacherGenerality, NoEntryPointAndNoStringOfAPromptStandsInAWorkflow) {
  std::map<std::string, std::set<std::string>> strings_of;  // by code: most is written again
  size_t num_strings = 0;
  for (const Task& task : builtin_tasks()) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      for (const auto& written : codes_of(task, seed)) {
        const std::string code = without_contract(written);
        ASSERT_FALSE(holds_word(code, task.entry_point)) << task.id << "\n" << code;
        auto& strings = strings_of[code];
        if (strings.empty()) strings = strings_in(code);
        for (const auto& text : strings) {
          ASSERT_EQ(task.prompt.find(text), std::string::npos) << task.id << ": " << text;
          ++num_strings;
        }
      }
    }
  }
  EXPECT_GT(num_strings, 10000u);
}

// Stronger: with the same draws every query gets the same code, so nothing of a query can decide
// what is written, not even by choosing among fixed words.
TEST(TeacherGenerality, TheSameDrawsGiveEveryQueryTheSameCode) {
  const auto tasks = builtin_tasks();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto expected = codes_of(tasks.front(), seed);
    for (size_t i = seed; i < tasks.size(); i += 20) {
      EXPECT_EQ(codes_of(tasks[i], seed), expected) << tasks[i].id;
    }
  }
}

TEST(TeacherGenerality, HoldsForTasksWithoutAnEntryPointToo) {
  const char* const prompts[] = {
      "Count the words of the dictionary that is read from standard input.",
      "How many grid cells are black? List the numbers.", ""};
  for (const TaskKind kind : {TaskKind::kCode, TaskKind::kMath, TaskKind::kQa, TaskKind::kChoice}) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      std::set<std::vector<std::string>> written;
      for (const char* prompt : prompts) {
        Task task;
        task.kind = kind;
        task.prompt = prompt;
        written.insert(codes_of(task, seed));
      }
      EXPECT_EQ(written.size(), 1u) << to_string(kind);
    }
  }
}

}  // namespace
}  // namespace weft
