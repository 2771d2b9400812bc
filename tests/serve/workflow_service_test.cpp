#include "serve/workflow_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>

#include "base/error.h"
#include "serve/api_error.h"
#include "tests/net/support.h"
#include "tests/serve/support.h"
#include "tests/support/fake_environment.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

Outcome answered() {
  Outcome outcome;
  outcome.kind = Outcome::Kind::kScored;
  outcome.answer = "42";
  outcome.usage.calls = 2;
  outcome.usage.execs = 1;
  outcome.usage.prompt_tokens = 30;
  outcome.usage.completion_tokens = 12;
  outcome.trace = Json::array({Json{{"kind", "call_llm"}}});
  return outcome;
}

WorkflowBackend scripted_backend(const std::function<Outcome()>& outcome = answered) {
  WorkflowBackend backend;
  auto environment = std::make_shared<test::FakeEnvironment>();
  environment->on_prompt = [](const Task& task) {
    return std::vector<ChatMessage>{{"user", "write for " + task.prompt}};
  };
  environment->on_check = [](std::string completion) {
    Workflow workflow;
    workflow.valid = completion != "broken";
    workflow.problem = workflow.valid ? "" : "no code block";
    workflow.code = std::move(completion);
    return workflow;
  };
  backend.environment = environment;
  backend.open = [outcome](const WorkflowBudget&, EventSink on_event) {
    auto of_run = std::make_unique<test::FakeEnvironment>();
    of_run->on_run = [outcome, on_event = std::move(on_event)](const RunRequest& request) {
      EXPECT_FALSE(request.score_val);
      if (on_event) on_event({{"type", "call"}, {"call", 1}});
      return outcome();
    };
    return of_run;
  };
  return backend;
}

WorkflowCall call_of(const Json& body) { return parse_workflow_call(body, {}); }

class WorkflowRequests : public ::testing::Test {
 protected:
  std::unique_ptr<Server> serve(const WorkflowService& service) {
    ServedModel served;
    served.model = &model_;
    served.names = {{"weft", "", ""}};
    HttpOptions options;
    options.port = 0;
    auto server = std::make_unique<Server>(served, &service, WorkflowBudget{}, options);
    server->start();
    return server;
  }

  test::StreamingModel model_{[this](const test::ScriptedPrompt&) { return text_; }};
  std::string text_ = "# Step 1: x\n";
  CancelFlag cancelled_ = std::make_shared<std::atomic<bool>>(false);
  WorkflowService service_{model_, "policy", "weft", scripted_backend()};
};

TEST_F(WorkflowRequests, AnswerHoldsWorkflowAnswerTraceAndUsage) {
  const Json json = service_.handle(call_of({{"query", "q"}}), {}, cancelled_);
  EXPECT_EQ(json["workflow"], text_);
  EXPECT_EQ(json["valid"], true);
  EXPECT_EQ(json["answer"], "42");
  EXPECT_EQ(json["trace"].size(), 1u);
  EXPECT_EQ(json["usage"]["worker_calls"], 2);
  EXPECT_EQ(json["usage"]["worker_tokens"], 42);
  EXPECT_EQ(model_.inner().requests()[0].adapter, "policy");
}

TEST_F(WorkflowRequests, ExecuteFalseOnlyWrites) {
  const Json json = service_.handle(call_of({{"query", "q"}, {"execute", false}}), {}, cancelled_);
  EXPECT_FALSE(json.contains("answer"));
  EXPECT_EQ(json["usage"]["worker_calls"], 0);
}

TEST_F(WorkflowRequests, InvalidWorkflowIsShownAndNotRun) {
  text_ = "broken";
  const Json json = service_.handle(call_of({{"query", "q"}}), {}, cancelled_);
  EXPECT_EQ(json["valid"], false);
  EXPECT_EQ(json["problem"], "no code block");
  EXPECT_FALSE(json.contains("answer"));
}

TEST_F(WorkflowRequests, EventsTellTokensWorkflowThenCalls) {
  std::vector<std::string> types;
  service_.handle(
      call_of({{"query", "q"}}),
      [&](Json event) {
        if (types.empty() || types.back() != event["type"]) types.push_back(event["type"]);
      },
      cancelled_);
  EXPECT_EQ(types, (std::vector<std::string>{"token", "workflow", "call"}));
}

TEST_F(WorkflowRequests, AStreamOverHttpHasTheEventsThenTheAnswerThenDone) {
  const auto server = serve(service_);
  httplib::Client client("127.0.0.1", server->port());
  const auto result = test::post(client, "/v1/workflows", {{"query", "q"}, {"stream", true}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/event-stream");
  auto events = test::sse_events(result->body);
  ASSERT_EQ(events.back(), "[DONE]");
  events.pop_back();
  const Json last = parse_json(events.back(), "");
  EXPECT_EQ(last["type"], "done");
  EXPECT_EQ(last["answer"], "42");
  std::vector<std::string> types;
  for (const std::string& event : events) {
    const std::string type = parse_json(event, "")["type"];
    if (types.empty() || types.back() != type) types.push_back(type);
  }
  EXPECT_EQ(types, (std::vector<std::string>{"token", "workflow", "call", "done"}));
  const auto whole = test::post(client, "/v1/workflows", {{"query", "q"}});
  EXPECT_EQ(parse_json(whole->body, "")["answer"], "42");
  EXPECT_FALSE(parse_json(whole->body, "").contains("type"));
  EXPECT_THAT(client.Get("/metrics")->body,
              HasSubstr("weft:workflows_total{model_name=\"weft\",outcome=\"scored\"} 2"));
}

TEST_F(WorkflowRequests, AFailedOneEndsItsStreamOrHasItsStatusOverHttp) {
  WorkflowBackend backend = scripted_backend([]() -> Outcome { throw Error("no machine"); });
  const WorkflowService failing(model_, "", "weft", backend);
  const auto server = serve(failing);
  httplib::Client client("127.0.0.1", server->port());
  EXPECT_EQ(test::post(client, "/v1/workflows", {{"query", "q"}})->status, 500);
  const auto result = test::post(client, "/v1/workflows", {{"query", "q"}, {"stream", true}});
  const auto events = test::sse_events(result->body);
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(parse_json(events[events.size() - 2], "")["type"], "error");
  EXPECT_EQ(parse_json(events[events.size() - 2], "")["status"], 500);
  EXPECT_EQ(events.back(), "[DONE]");
}

TEST_F(WorkflowRequests, AStreamThatItsClientDoesNotReadIsCancelled) {
  text_ = std::string(200000, 'x');
  const auto server = serve(service_);
  test::RawClient client(server->port(), 4096);
  client.send(test::post("/v1/workflows", "{\"query\":\"q\",\"stream\":true}",
                         "Content-Type: application/json\r\n"));
  EXPECT_TRUE(test::wait_until([this] { return model_.cancelled == 1; }));
}

TEST_F(WorkflowRequests, PoolIsAskedFirst) {
  WorkflowBackend backend = scripted_backend();
  backend.pooled_code = [](const Task&) { return std::string("stored"); };
  const WorkflowService pooled(model_, "", "weft", backend);
  const Json json = pooled.handle(call_of({{"query", "q"}}), {}, cancelled_);
  EXPECT_EQ(json["source"], "pool");
  EXPECT_TRUE(model_.inner().requests().empty());
}

TEST_F(WorkflowRequests, EachThatIsWrittenIsKeptWithWhatCameOfIt) {
  std::vector<Trajectory> kept;
  WorkflowBackend backend = scripted_backend();
  backend.keep = [&](Trajectory row) { kept.push_back(std::move(row)); };
  const WorkflowService service(model_, "", "weft", backend);
  service.handle(call_of({{"query", "q"}, {"seed", 7}}), {}, cancelled_);
  service.handle(call_of({{"query", "q"}, {"execute", false}}), {}, cancelled_);
  text_ = "broken";
  service.handle(call_of({{"query", "q"}}), {}, cancelled_);
  ASSERT_EQ(kept.size(), 3u);
  EXPECT_EQ(kept[0].outcome, "answered");
  EXPECT_EQ(kept[1].outcome, "written");
  EXPECT_EQ(kept[2].outcome, "workflow_error");
  EXPECT_FALSE(kept[2].valid);
  EXPECT_EQ(kept[2].usage["error"], "no code block");
  EXPECT_EQ(kept[0].code, "# Step 1: x\n");
  EXPECT_EQ(kept[0].prompt, "write for q");
  EXPECT_EQ(kept[0].task_id, task_of_query("q", "").id);
  EXPECT_EQ(kept[0].seed, 7u);
  EXPECT_EQ(kept[0].usage["calls"], 2);
  EXPECT_GT(kept[0].usage["generator_completion_tokens"], 0);
}

TEST_F(WorkflowRequests, OneThatIsCancelledWhileItRunsIsKeptAndOneOfThePoolIsNot) {
  std::vector<Trajectory> kept;
  WorkflowBackend backend = scripted_backend([this] {
    cancelled_->store(true);
    return Outcome{};
  });
  backend.keep = [&](Trajectory row) { kept.push_back(std::move(row)); };
  const WorkflowService service(model_, "", "weft", backend);
  EXPECT_THROW(service.handle(call_of({{"query", "q"}}), {}, cancelled_), ApiError);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].outcome, "infrastructure");
  cancelled_->store(false);
  backend.open = scripted_backend().open;
  backend.pooled_code = [](const Task&) { return std::string("stored"); };
  WorkflowService(model_, "", "weft", backend).handle(call_of({{"query", "q"}}), {}, cancelled_);
  EXPECT_EQ(kept.size(), 1u);
}

TEST_F(WorkflowRequests, CancelledRequestIsAnApiError) {
  cancelled_->store(true);
  EXPECT_THROW(service_.handle(call_of({{"query", "q"}}), {}, cancelled_), ApiError);
}

/// The backend over the real sandbox.
class RealBackend : public ::testing::Test {
 protected:
  static Workbench& bench() {
    static Workbench bench(one_slot());
    return bench;
  }
  static WorkbenchOptions one_slot() {
    WorkbenchOptions options;
    options.sandbox_slots = 1;
    return options;
  }
  static Workflow workflow(const std::string& body) {
    return bench().meta_agent().check(
        "class Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
        "        self.llm = create_llm_instance(llm_config)\n\n"
        "    async def __call__(self, problem):\n        # Step 1: a\n" +
        body);
  }

  static Outcome run(WorkflowEnvironment& environment, const Workflow& workflow) {
    const Task task = task_of_query("q", "");
    RunRequest request;
    request.workflow = &workflow;
    request.task = &task;
    request.seed = 1;
    request.score_val = false;
    std::promise<Outcome> promise;
    environment.run(request, [&promise](Outcome outcome) { promise.set_value(outcome); });
    return promise.get_future().get();
  }

  test::ScriptedModel worker_{"forty-two"};
  CancelFlag cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

TEST_F(RealBackend, TellsCallsAndAnswers) {
  const auto backend = make_workflow_backend(bench(), worker_, {}, nullptr, 0);
  const Workflow asks = workflow(
      "        return (await self.llm.call_llm([problem], 0.0, 1, \"a\", \"b\"))[0], 0.0\n");
  ASSERT_TRUE(asks.valid) << asks.problem;
  std::vector<std::string> types;
  const auto environment =
      backend.open({}, [&](const Json& event) { types.push_back(event["type"]); });
  const Outcome outcome = run(*environment, asks);
  EXPECT_EQ(outcome.answer, "forty-two");
  EXPECT_EQ(types, (std::vector<std::string>{"call", "reply"}));
}

TEST_F(RealBackend, EndsARunThatIsCancelledBetweenItsCalls) {
  const Workflow sleeps = workflow(
      "        import asyncio\n        await asyncio.sleep(60)\n        return \"x\", 0\n");
  ASSERT_TRUE(sleeps.valid) << sleeps.problem;
  test::ScriptedModel writer(bench().meta_agent().render_completion("Wait.", sleeps.code));
  auto backend = make_workflow_backend(bench(), worker_, {}, nullptr, 0);
  std::vector<std::string> outcomes;
  backend.keep = [&](const Trajectory& row) { outcomes.push_back(row.outcome); };
  const WorkflowService service(writer, "", "weft", backend);
  const auto start = std::chrono::steady_clock::now();
  const auto cancel_when_written = [this](const Json& event) {
    if (event["type"] == "workflow") cancelled_->store(true);
  };
  EXPECT_THROW(service.handle(call_of({{"query", "q"}}), cancel_when_written, cancelled_),
               ApiError);
  EXPECT_EQ(outcomes, std::vector<std::string>{"infrastructure"});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(RealBackend, FindsAStoredQueryByItsOwnText) {
  const MetaAgent& agent = bench().meta_agent();
  Trajectory stored;
  stored.id = 1;
  stored.prompt = agent.query(task_of_query("Which river runs through Bonn?", ""));
  stored.code = workflow("        return \"x\", 0\n").code;
  stored.valid = true;
  stored.outcome = "scored";
  const WorkflowPool pool({stored});
  const auto backend = make_workflow_backend(bench(), worker_, {}, &pool, 0.999);
  EXPECT_EQ(backend.pooled_code(task_of_query("Which river runs through Bonn?", "")), stored.code);
  EXPECT_EQ(backend.pooled_code(task_of_query("Which river runs through Koblenz?", "")), "");
}

TEST(WorkflowBody, WantsEitherQueryOrTask) {
  EXPECT_THROW(call_of(Json::object()), ApiError);
  EXPECT_THROW(call_of({{"query", "a"}, {"task", Json::object()}}), ApiError);
  EXPECT_THROW(call_of({{"query", 5}}), ApiError);
  EXPECT_THROW(call_of({{"query", ""}}), ApiError);
}

TEST(WorkflowBody, TakesATaskWithPublicTests) {
  const auto call =
      call_of({{"task",
                {{"kind", "code"},
                 {"prompt", "p"},
                 {"entry_point", "f"},
                 {"tests", {{"public", Json::array({Json{{"args", {1}}, {"expected", 2}}})}}}}}});
  EXPECT_EQ(call.task.entry_point, "f");
  EXPECT_EQ(call.task.public_tests.size(), 1u);
}

TEST(WorkflowBody, BudgetMayOnlyBeLowered) {
  WorkflowBudget most;
  most.max_calls = 8;
  const Json lower = {{"query", "q"}, {"budget", {{"max_calls", 3}, {"wall_ms", 500}}}};
  EXPECT_EQ(parse_workflow_call(lower, most).budget.max_calls, 3);
  EXPECT_EQ(parse_workflow_call(lower, most).budget.wall_ms, 500);
  const Json higher = {{"query", "q"}, {"budget", {{"max_calls", 9}}}};
  EXPECT_THROW(parse_workflow_call(higher, most), ApiError);
  const Json unknown = {{"query", "q"}, {"budget", {{"max_cals", 1}}}};
  EXPECT_THROW(parse_workflow_call(unknown, most), ApiError);
}

}  // namespace
}  // namespace weft
