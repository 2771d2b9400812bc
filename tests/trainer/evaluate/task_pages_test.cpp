#include "trainer/evaluate/task_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ResultRow row_of(const std::string& method, const std::string& task, int sample = 0) {
  ResultRow row;
  row.method = method;
  row.task = task;
  row.sample = sample;
  row.status = OutcomeKind::kScored;
  row.score = 1;
  row.passed = row.declared = 2;
  row.answer = "def f(): return 1";
  row.workflow = "class Workflow: pass";
  row.origin = "fixed";
  row.calls = 1;
  return row;
}

class TaskPages : public ::testing::Test {
 protected:
  TaskPages() {
    for (const char* id : {"HumanEval/0", "../../etc/x", "<b>&\"'"}) {
      Task& task = tasks_.emplace_back();
      task.id = id;
      task.dataset = "humaneval";
      task.prompt = "Say </pre><script>alert(1)</script>";
    }
    TraceWriter traces(dir_ / "traces.jsonl");
    const Json call = {{"kind", "call_llm"},
                       {"role", "Solver"},
                       {"prompt", "Do it."},
                       {"texts", {"It is <done>."}},
                       {"prompt_tokens", 12},
                       {"completion_tokens", 7},
                       {"ms", 4.6}};
    for (const Task& task : tasks_) {
      rows_.push_back(row_of("io", task.id));
      rows_.push_back(row_of("m|x", task.id, 1));
      traces.write(rows_[rows_.size() - 2], Json::array({call}));
    }
  }

  test::TempDir dir_;
  std::vector<Task> tasks_;
  std::vector<ResultRow> rows_;
};

TEST_F(TaskPages, OneIsWrittenForEachTaskInsideTheFolder) {
  write_task_pages(dir_ / "pages", tasks_, rows_, TraceReader(dir_ / "traces.jsonl"));
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "pages")) {
    names.insert(entry.path().filename().string());
  }
  EXPECT_EQ(names, (std::set<std::string>{"00001-HumanEval_0.html", "00002-______etc_x.html",
                                          "00003-_b____.html"}));
  EXPECT_TRUE(test::unfinished_files(dir_.path()).empty());
}

TEST_F(TaskPages, ReplaceThoseOfAnEarlierReport) {
  const TraceReader traces(dir_ / "traces.jsonl");
  write_task_pages(dir_ / "pages", tasks_, rows_, traces);
  write_task_pages(dir_ / "pages", {tasks_[1]}, rows_, traces);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "pages" / "00001-______etc_x.html"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "pages" / "00001-HumanEval_0.html"));
}

TEST_F(TaskPages, ShowEveryRunWithItsCalls) {
  const std::string page =
      task_page(tasks_[0], {&rows_[0], &rows_[1]}, TraceReader(dir_ / "traces.jsonl"));
  for (const char* text :
       {"score 1.00, 2 of 2 tests", "m|x, sample 2", "1. call_llm as Solver, 12 prompt tokens",
        "7 completion tokens, 5 ms", "Do it.", "It is &lt;done&gt;.", "class Workflow: pass"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
}

TEST_F(TaskPages, ShowHostileTextAsText) {
  for (const Task& task : tasks_) {
    const std::string page = task_page(task, {&rows_[0]}, TraceReader(dir_ / "none"));
    EXPECT_THAT(page, Not(HasSubstr("<script>")));
    EXPECT_THAT(page, Not(HasSubstr("<b>")));
    EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)"));
  }
  EXPECT_EQ(html_text("<&>\"'\xff"), "&lt;&amp;&gt;&quot;&#39;\xEF\xBF\xBD");
}

TEST_F(TaskPages, OfAnUnscoredRunSayHowItEnded) {
  rows_[0].status = OutcomeKind::kLimit;
  rows_[0].error = "max_calls: 3";
  const std::string page = task_page(tasks_[0], {&rows_[0]}, TraceReader(dir_ / "none"));
  EXPECT_THAT(page, HasSubstr(">limit</td>"));
  EXPECT_THAT(page, HasSubstr("<pre>max_calls: 3</pre>"));
}

TEST(Traces, OfOneRunTheLaterCounts) {
  test::TempDir dir;
  {
    TraceWriter writer(dir / "t.jsonl");
    writer.write(row_of("io", "a"), {{{"ms", 1}}});
    writer.write(row_of("io", "b"), Json::array());
    writer.write(row_of("io", "a"), {{{"ms", 2}}});
  }
  std::ofstream(dir / "t.jsonl", std::ios::app) << "{\"method\": \"io\", \"ta";
  const TraceReader reader(dir / "t.jsonl");
  EXPECT_EQ(reader.calls("io", "a", 0), Json({{{"ms", 2}}}));
  EXPECT_TRUE(reader.calls("io", "b", 0).empty());
  EXPECT_TRUE(reader.calls("io", "a", 1).empty());
}

}  // namespace
}  // namespace weft
