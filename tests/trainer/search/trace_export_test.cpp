#include "trainer/search/trace_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/input_error.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"
#include "tests/trainer/search/fakes.h"

namespace weft {
namespace {

using testing::HasSubstr;

Trajectory row_of(const char* task, const std::string& code) {
  Trajectory row;
  row.task_id = task;
  row.origin = "teacher:m";
  row.prompt = "as stored";
  row.reasoning = "Think of " + code + ".";
  row.code = code;
  row.valid = true;
  row.outcome = "scored";
  row.pass_rate = 1;
  row.reward = 1;
  return row;
}

struct Bench {
  Bench() { tasks = {test::code_task("cube"), test::code_task("square")}; }
  void add(Trajectory row) {
    row.round = ++rows;  // the store's order
    store.insert(row);
  }
  Json run() const { return export_traces(store, tasks, filter, options, tools, dir.path()); }
  std::vector<Json> lines() const { return test::read_json_lines(dir / "traces.jsonl"); }

  test::TempDir dir;
  TrajectoryStore store{dir / "store.sqlite"};
  std::vector<Task> tasks;
  TraceFilter filter;
  TraceExportOptions options;
  // Two programs have the same AST here when they begin with the same letter.
  TraceTools tools = {
      [](const Task& task) {
        return std::vector<ChatMessage>{{"system", "Contract."}, {"user", "Task: " + task.id}};
      },
      [](const std::string& code) { return "```python\n" + code + "\n```"; },
      [](const std::string& code) { return code.substr(0, 1); },
      {}};
  int rows = 0;
};

const std::string kCode = "```python\na\n```";

TEST(ExportTraces, WritesTheMessagesThatTheMetaAgentIsTrainedOn) {
  Bench bench;
  bench.add(row_of("cube", "a"));
  const Json report = bench.run();
  EXPECT_EQ(report["traces"], 1);
  EXPECT_EQ(report["file"], "traces.jsonl");
  const std::string content = "<think>\nThink of a.\n</think>\n\n" + kCode;
  EXPECT_EQ(bench.lines(),
            (std::vector<Json>{{{"messages",
                                 {{{"role", "system"}, {"content", "Contract."}},
                                  {{"role", "user"}, {"content", "Task: cube"}},
                                  {{"role", "assistant"}, {"content", content}}}}}}));
  const Json info = read_json_file(bench.dir / "dataset_info.json")["traces"];
  EXPECT_EQ(info["file_name"], "traces.jsonl");
  EXPECT_EQ(info["formatting"], "sharegpt");
  EXPECT_EQ(info["columns"]["messages"], "messages");
  EXPECT_EQ(info["tags"]["role_tag"], "role");
  EXPECT_EQ(info["tags"]["assistant_tag"], "assistant");
}

TEST(ExportTraces, PutsTheReasoningWhereItIsAskedFor) {
  Bench bench;
  bench.add(row_of("cube", "a"));
  bench.options.reasoning = ReasoningPlace::kText;
  bench.run();
  EXPECT_EQ(bench.lines()[0]["messages"][2]["content"], "Think of a.\n" + kCode);
  bench.options.reasoning = ReasoningPlace::kField;
  bench.run();
  EXPECT_EQ(bench.lines()[0]["messages"][2]["content"], kCode);
  EXPECT_EQ(bench.lines()[0]["messages"][2]["reasoning_content"], "Think of a.");
}

TEST(ExportTraces, WritesPromptAndCompletionAndShareGpt) {
  Bench bench;
  bench.add(row_of("cube", "a"));
  bench.options.form = TraceForm::kShareGpt;
  bench.run();
  const Json turns = bench.lines()[0]["conversations"];
  ASSERT_EQ(turns.size(), 3u);
  EXPECT_EQ(turns[0], (Json{{"from", "system"}, {"value", "Contract."}}));
  EXPECT_EQ(turns[1], (Json{{"from", "human"}, {"value", "Task: cube"}}));
  EXPECT_EQ(turns[2]["from"], "gpt");
  EXPECT_EQ(read_json_file(bench.dir / "dataset_info.json")["traces"]["columns"]["messages"],
            "conversations");

  bench.options.form = TraceForm::kPromptCompletion;
  bench.run();
  const Json line = bench.lines()[0];
  EXPECT_EQ(line["prompt"].size(), 2u);
  ASSERT_EQ(line["completion"].size(), 1u);
  EXPECT_EQ(line["completion"][0]["role"], "assistant");
  // LLaMA-Factory reads no such form, and a description of another file would be a false one.
  EXPECT_FALSE(std::filesystem::exists(bench.dir / "dataset_info.json"));
}

TEST(ExportTraces, CountsWhatEachFilterDrops) {
  Bench bench;
  bench.add(row_of("cube", "a first"));
  bench.add(row_of("cube", "a second"));
  bench.add(row_of("square", "a third"));  // another query's
  Trajectory row = row_of("cube", "b");
  row.pass_rate = 0.5;
  bench.add(row);
  row = row_of("cube", "c");
  row.valid = false;
  bench.add(row);
  row = row_of("cube", "d");
  row.reasoning = " \n";
  bench.add(row);
  row = row_of("cube", "e");
  row.origin = "teacher:m/round";
  bench.add(row);

  Json report = bench.run();
  EXPECT_EQ(report["traces"], 3);
  EXPECT_EQ(report["dropped"], (Json{{"invalid", 1},
                                     {"unsolved", 0},
                                     {"no_reasoning", 1},
                                     {"too_short", 0},
                                     {"too_long", 0},
                                     {"duplicate", 1}}));
  EXPECT_THAT(dump_json(bench.lines()[0]), HasSubstr("a first"));

  bench.filter.solved = true;
  bench.filter.distinct = false;
  report = bench.run();
  EXPECT_EQ(report["traces"], 3);
  EXPECT_EQ(report["dropped"]["unsolved"], 1);
  EXPECT_EQ(report["dropped"]["duplicate"], 0);

  bench.filter = {};
  bench.filter.valid = false;
  EXPECT_EQ(bench.run()["traces"], 4);
  bench.options.origin = "teacher:m/round";
  EXPECT_EQ(bench.run()["traces"], 1);
}

TEST(ExportTraces, DropsByLengthInTokens) {
  Bench bench;
  bench.add(row_of("cube", "a"));
  std::string longer = "b";
  for (int i = 0; i < 100; ++i) longer += " b";
  bench.add(row_of("cube", longer));
  bench.filter.tokenizer = "of words";
  bench.tools.count_tokens = [](const std::string& text) {
    return std::count(text.begin(), text.end(), ' ');
  };
  bench.filter.max_tokens = 100;
  EXPECT_EQ(bench.run()["dropped"]["too_long"], 1);
  bench.filter.max_tokens = 0;
  bench.filter.min_tokens = 100;
  const Json report = bench.run();
  EXPECT_EQ(report["dropped"]["too_short"], 1);
  EXPECT_EQ(report["traces"], 1);
}

TEST(ExportTraces, EndsWithCountsWhereNothingIsLeftAndKeepsAnOlderFile) {
  Bench bench;
  Trajectory row = row_of("cube", "a");
  row.pass_rate = 0;
  bench.add(row);
  bench.run();
  bench.filter.solved = true;
  try {
    bench.run();
    FAIL() << "took nothing for a result";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "not one trace to export: 1 x unsolved");
  }
  EXPECT_EQ(bench.lines().size(), 1u);
  EXPECT_TRUE(test::unfinished_files(bench.dir.path()).empty());
}

TEST(ExportTraces, NamesWhatIsWrong) {
  Bench bench;
  bench.add(row_of("root", "a"));
  EXPECT_THAT(test::input_error([&] { bench.run(); }),
              HasSubstr("task \"root\" is in none of the task files"));
  bench.filter.min_tokens = 9;
  EXPECT_THAT(test::input_error([&] { bench.run(); }),
              HasSubstr("tokenizer: expected what counts"));
  bench.filter.tokenizer = "x";
  bench.filter.max_tokens = 8;
  EXPECT_THAT(test::input_error([&] { bench.run(); }),
              HasSubstr("min_tokens: expected at most max_tokens, 8"));
  bench.filter = {};
  bench.options.form = TraceForm::kShareGpt;
  bench.options.reasoning = ReasoningPlace::kField;
  EXPECT_THAT(test::input_error([&] { bench.run(); }),
              HasSubstr("sharegpt, which has no such field"));
}

}  // namespace
}  // namespace weft
