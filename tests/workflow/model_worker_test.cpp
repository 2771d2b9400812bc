#include "workflow/model_worker.h"

#include <gtest/gtest.h>

#include <future>

#include "base/error.h"
#include "tests/support/scripted_model.h"

namespace weft {
namespace {

WorkerRequest request_of(std::vector<std::string> messages) {
  WorkerRequest request;
  request.messages = std::move(messages);
  request.agent_role = "Python programmer";
  request.instructions = "Be brief.";
  request.temperature = 0.6;
  request.num_responses = 2;
  request.seed = 11;
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  return request;
}

WorkerReply ask(TextModel& model, WorkerRequest request, ModelWorkerOptions options = {}) {
  ModelWorker worker(model, options);
  std::promise<WorkerReply> promise;
  worker.submit(std::move(request), [&promise](WorkerReply reply) { promise.set_value(reply); });
  return promise.get_future().get();
}

TEST(ModelWorker, MakesOneRequestOfACall) {
  test::ScriptedModel model(
      [](const test::ScriptedPrompt& prompt) { return "answer " + std::to_string(prompt.choice); });
  const auto reply = ask(model, request_of({"first", "second"}));
  EXPECT_EQ(reply.status, WorkerReply::Status::kOk);
  EXPECT_EQ(reply.texts, (std::vector<std::string>{"answer 0", "answer 1"}));
  EXPECT_GT(reply.prompt_tokens, 0);
  ASSERT_EQ(model.requests().size(), 1u);
  const TextRequest sent = model.requests()[0];
  EXPECT_EQ(sent.n, 2);
  EXPECT_EQ(sent.adapter, "");
  EXPECT_EQ(sent.sampling.seed, 11u);
  EXPECT_EQ(sent.sampling.max_tokens, 256);
  EXPECT_DOUBLE_EQ(sent.sampling.temperature, 0.6);
  const auto& messages = std::get<std::vector<ChatMessage>>(sent.prompt);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[0].content, "You are a Python programmer. Be brief.");
  EXPECT_EQ(messages[1].role, "user");
  EXPECT_EQ(messages[1].content, "first\n\nsecond");
}

TEST(ModelWorker, LeavesOutAnEmptySystemMessage) {
  WorkerRequest request = request_of({"q"});
  request.agent_role = request.instructions = "";
  EXPECT_EQ(worker_messages(request, 1000).size(), 1u);
  request.instructions = "Be brief.";
  EXPECT_EQ(worker_messages(request, 1000)[0].content, "Be brief.");
}

TEST(ModelWorker, CutsALongPromptInItsMiddleAtWholeCharacters) {
  std::string text = "begin";
  for (int i = 0; i < 200; ++i) text += "é";
  const auto messages = worker_messages(request_of({text + "end"}), 101);
  const std::string& cut = messages.back().content;
  EXPECT_EQ(cut.rfind("begin", 0), 0u);
  EXPECT_EQ(cut.substr(cut.size() - 3), "end");
  EXPECT_NE(cut.find("\n[...]\n"), std::string::npos);
  EXPECT_LE(cut.size(), 101 + 7u);
  const std::string head = cut.substr(5, cut.find('\n') - 5);
  EXPECT_EQ(head.size() % 2, 0u);
}

TEST(ModelWorker, TellsRefusalFromFailure) {
  auto status = ResponseStatus::kRefused;
  test::ScriptedModel model([](const test::ScriptedPrompt&) { return std::string("x"); },
                            [&status](const test::ScriptedPrompt&) { return status; });
  EXPECT_EQ(ask(model, request_of({"q"})).status, WorkerReply::Status::kRefused);
  status = ResponseStatus::kFailed;
  EXPECT_EQ(ask(model, request_of({"q"})).status, WorkerReply::Status::kInfrastructure);
}

TEST(ModelWorker, ACallStaysWithinWhatItMayTake) {
  test::ScriptedModel model(std::string(400, 'a'));  // 100 tokens each
  WorkerRequest request = request_of({std::string(60, 'q')});
  const int64_t whole = ask(model, request).prompt_tokens + 2 * 100;
  EXPECT_FALSE(ask(model, request).lowered);
  EXPECT_GE(ModelWorker(model).bound(request).tokens, whole);
  request.max_tokens = whole - 100;
  const auto reply = ask(model, request);
  EXPECT_EQ(reply.status, WorkerReply::Status::kOk);
  EXPECT_TRUE(reply.lowered);
  EXPECT_EQ(reply.prompt_tokens + reply.completion_tokens, request.max_tokens);
  request.max_tokens = 10;
  EXPECT_EQ(ask(model, request).status, WorkerReply::Status::kLimit);
}

TEST(ModelWorker, HoldsTheTemperatureInItsRange) {
  test::ScriptedModel model("x");
  for (const double asked : {-1.0, 50.0, std::numeric_limits<double>::quiet_NaN()}) {
    WorkerRequest request = request_of({"q"});
    request.temperature = asked;
    ask(model, request);
  }
  EXPECT_EQ(model.requests()[0].sampling.temperature, 0.0);
  EXPECT_EQ(model.requests()[1].sampling.temperature, 2.0);
  EXPECT_EQ(model.requests()[2].sampling.temperature, 0.0);
}

TEST(ModelWorker, RefusesBadOptions) {
  ModelWorkerOptions options;
  options.max_tokens = 0;
  EXPECT_THROW(options.validate(), InputError);
}

}  // namespace
}  // namespace weft
