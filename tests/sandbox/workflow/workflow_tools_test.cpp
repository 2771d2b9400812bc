// A user's functions that workflows call.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "base/file.h"
#include "sandbox/workflow/workflow_process.h"
#include "tests/sandbox/jail_support.h"
#include "tests/sandbox/workflow/scripted_worker.h"

namespace weft {
namespace {

using Status = WorkflowResult::Status;
using test::workflow_code;
using testing::HasSubstr;

constexpr const char* kTools =
    "def divide(a, b=1):\n    return a / b\n"
    "def wait(s):\n    import time\n    time.sleep(s)\n    return 'waited'\n"
    "def lines(name):\n    return open(name).read().splitlines()\n";

class WorkflowTools : public testing::Test {
 protected:
  WorkflowTools() { write_file_atomically(options_.file, kTools); }

  WorkflowJob job(const std::string& body) const {
    WorkflowJob job;
    job.code = workflow_code(body);
    job.problem = "p";
    job.tools = std::make_shared<const ToolBox>(test::shared_sandbox(), options_);
    return job;
  }
  WorkflowResult run(WorkflowJob job) {
    WorkflowHost host(test::shared_sandbox(), test::shared_judge(), worker_, 4);
    return host.run(std::move(job));
  }

  test::TempDir folder_;
  ToolOptions options_{.file = (folder_ / "mine.py").string()};
  test::ScriptedWorker worker_;
};

TEST_F(WorkflowTools, AreCalledByTheirNames) {
  const WorkflowResult result =
      run(job("import weft\nreturn str(divide(1, b=4) + weft.divide(3)), 0.0"));
  ASSERT_EQ(result.status, Status::kAnswered) << result.error;
  EXPECT_EQ(result.answer, "3.25");
  EXPECT_EQ(result.usage.tool_calls, 2);
  EXPECT_EQ(result.usage.calls, 0);
  ASSERT_EQ(result.trace.size(), 2u);
  Json entry = result.trace[0];
  EXPECT_GT(entry["ms"].get<double>(), 0);
  entry.erase("ms");
  EXPECT_EQ(entry, (Json{{"kind", "call_tool"},
                         {"name", "divide"},
                         {"arguments", "(1,)"},
                         {"keywords", "{'b': 4}"},
                         {"result", "0.25"}}));
}

TEST_F(WorkflowTools, AFaultIsAnExceptionThatAWorkflowMayCatch) {
  const std::string failing = "try:\n    return str(divide(1, 0)), 0.0\n";
  WorkflowResult result = run(job(failing + "except WorkerError as e:\n    return str(e), 0.0"));
  ASSERT_EQ(result.status, Status::kAnswered) << result.error;
  EXPECT_THAT(result.answer, HasSubstr("divide: ERROR(ZeroDivisionError)"));
  EXPECT_EQ(result.answer.find('\n'), std::string::npos);
  EXPECT_EQ(result.trace[0]["fault"], result.answer);
  result = run(job("return str(divide(1, 0)), 0.0"));
  EXPECT_EQ(result.status, Status::kWorkflowError);
  EXPECT_THAT(result.error, HasSubstr("WorkerError: divide: ERROR(ZeroDivisionError)"));
  EXPECT_THAT(run(job("return str(divide(object())), 0.0")).error, HasSubstr("TypeError"));
}

TEST_F(WorkflowTools, OneThatHangsEndsAtItsLimit) {
  options_.wall_ms = 300;
  const WorkflowResult result =
      run(job("try:\n    return wait(60), 0.0\nexcept WorkerError as e:\n    return str(e), 0.0"));
  ASSERT_EQ(result.status, Status::kAnswered) << result.error;
  EXPECT_THAT(result.answer, HasSubstr("wait: TIME_WALL"));
  EXPECT_EQ(result.usage.clock_decisions, 1);
}

TEST_F(WorkflowTools, OneThatRunsEndsWithItsWorkflow) {
  options_.wall_ms = 60000;
  WorkflowJob waiting = job("return wait(60), 0.0");
  waiting.budget.wall_ms = 500;
  const auto start = std::chrono::steady_clock::now();
  const WorkflowResult result = run(std::move(waiting));  // with the end of the host
  EXPECT_EQ(result.status, Status::kLimit) << result.error;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(WorkflowTools, HaveABudgetOfCalls) {
  WorkflowJob many = job("for i in range(9):\n    divide(i)\nreturn 'done', 0.0");
  many.budget.max_tool_calls = 3;
  const WorkflowResult result = run(std::move(many));
  EXPECT_EQ(result.status, Status::kLimit);
  EXPECT_THAT(result.error, HasSubstr("number of calls of tools exceeds the budget of 3"));
  EXPECT_EQ(result.usage.tool_calls, 3);
}

TEST_F(WorkflowTools, RunOneAtATimeWhateverAWorkflowSends) {
  const WorkflowResult result =
      run(job("import _weft\n"
              "ids = [_weft.request('call_tool', 'wait', [0.5], {}) for _ in range(3)]\n"
              "replies = dict(_weft.receive(True) for _ in ids)\n"
              "return str([replies[i] for i in ids]), 0.0"));
  const std::string refused = "(False, 'a function of tools.file of this workflow is running')";
  EXPECT_EQ(result.answer, "[(True, 'waited'), " + refused + ", " + refused + "]") << result.error;
  EXPECT_EQ(result.usage.tool_calls, 3);
  for (const char* forged : {"'call_tool'", "'call_tool', 1, [], {}", "'call_tool', 'divide', {}",
                             "'call_tool', 'divide', (1,), {}"}) {
    const auto answer = run(job("import _weft\n_weft.request(" + std::string(forged) +
                                ")\nreturn str(_weft.receive(True)[1]), 0.0"));
    EXPECT_EQ(answer.answer, "(False, 'call_tool expects a name, arguments and keywords')")
        << forged << answer.error;
  }
}

TEST_F(WorkflowTools, ReadTheTasksFiles) {
  if (test::shared_sandbox().tier() == "C") GTEST_SKIP() << "no working folder";
  WorkflowJob reading = job("return lines('notes.txt')[1], 0.0");
  reading.files = std::make_shared<const std::vector<TaskFile>>(
      std::vector<TaskFile>{{"notes.txt", "one\ntwo\n"}});
  EXPECT_EQ(run(std::move(reading)).answer, "two");
}

TEST_F(WorkflowTools, ThereIsNoOtherFunction) {
  EXPECT_THAT(run(job("return search('x'), 0.0")).error, HasSubstr("NameError"));
  for (const char* name : {"search", "_private", "weft_list_tools_", "__import__"}) {
    const auto result = run(job("import weft\nreturn weft._ask_now('call_tool', '" +
                                std::string(name) + "', ['os'], {}), 0.0"));
    EXPECT_THAT(result.error, HasSubstr("there is no such function")) << name;
  }
  WorkflowJob none = job("return divide(1), 0.0");
  none.tools = nullptr;
  EXPECT_THAT(run(std::move(none)).error, HasSubstr("NameError"));
}

}  // namespace
}  // namespace weft
