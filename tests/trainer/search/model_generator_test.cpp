#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/scripted_model.h"
#include "tests/trainer/search/fakes.h"
#include "trainer/search/generator.h"

namespace weft {
namespace {

using test::ScriptedModel;
using test::ScriptedPrompt;
using testing::HasSubstr;
using testing::Not;

const StepPrefix kPrefix = {"class Workflow:\n        # Step 1: draft\n        x = 1\n"};

std::string user_text(const TextRequest& request) {
  return std::get<std::vector<ChatMessage>>(request.prompt).at(1).content;
}

TEST(ReadReply, TakesReasoningAndOneBlock) {
  const CompletionParts reply = read_reply("Plan first.\n```python\nx = 1\n```\n", false);
  EXPECT_EQ(reply.reasoning, "Plan first.");
  EXPECT_EQ(reply.code, "x = 1\n");
  EXPECT_EQ(reply.problem, "");
}

TEST(ReadReply, IgnoresFencesInsideThinking) {
  const CompletionParts reply =
      read_reply("<think>```python\ny\n```</think>Plan.\n```python\nx = 1\n```", false);
  EXPECT_EQ(reply.code, "x = 1\n");
  EXPECT_EQ(reply.problem, "");
}

TEST(ReadReply, RefusesWhateverHasNotTheForm) {
  for (const char* text : {"", "no block", "```python\nx = 1\n", "```python\nx\n```\nmore",
                           "```python\nx\n```\n```python\ny\n```", "```\nx\n```",
                           "```python\n\n```", "```sh\nls\n```\n```python\nx\n```"}) {
    EXPECT_NE(read_reply(text, false).problem, "") << text;
  }
}

TEST(ReadReply, LetsAStopStringCutTheBlock) {
  EXPECT_EQ(read_reply("```python\n        x = 1\n        ", true).code, "        x = 1\n");
}

TEST(ModelGenerator, AsksForTheNextStepAndStopsBeforeTheOneAfter) {
  ScriptedModel model("```python\n        # Step 2: test\n        y = 2\n        ");
  ModelGenerator generator(model, "teacher:m");
  const auto steps = generator.extend(test::code_task("cube"), {kPrefix, {}}, 5);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].text, "        # Step 2: test\n        y = 2\n");
  EXPECT_EQ(steps[0].calls, 1);
  EXPECT_GT(steps[0].usage.prompt_tokens, 0);
  EXPECT_EQ(steps[1].text, "") << "step 2 is no answer to a request for step 1";
  const auto requests = model.requests();
  EXPECT_EQ(requests[0].sampling.stop, std::vector<std::string>{"# Step 3:"});
  EXPECT_EQ(requests[1].sampling.stop, std::vector<std::string>{"# Step 2:"});
  EXPECT_THAT(user_text(requests[0]), HasSubstr(kPrefix[0]));
  EXPECT_NE(requests[0].sampling.seed, requests[1].sampling.seed);
}

TEST(ModelGenerator, FinishesAWholePrefixWithoutAsking) {
  ScriptedModel model("unused");
  ModelGenerator generator(model, "teacher:m");
  const StepPrefix whole = {"# Step 1: a\n        return x, 0.0\n"};
  EXPECT_EQ(generator.finish(test::code_task("cube"), whole, 5).code, whole[0]);
  EXPECT_TRUE(model.requests().empty());
}

TEST(ModelGenerator, CompletesAPrefixByTheRest) {
  ScriptedModel model("Good.\n```python\n        # Step 2: end\n        return x, 0.0\n```");
  ModelGenerator generator(model, "teacher:m");
  const auto candidates = generator.complete(test::code_task("cube"), {kPrefix}, 5);
  EXPECT_EQ(candidates[0].status, Candidate::Status::kWritten);
  EXPECT_EQ(candidates[0].code, kPrefix[0] + "        # Step 2: end\n        return x, 0.0\n");
  EXPECT_EQ(candidates[0].reasoning, "Good.");
}

TEST(ModelGenerator, CallsARestThatSkipsAStepMalformed) {
  ScriptedModel model("Good.\n```python\n        # Step 3: end\n        return x\n```");
  ModelGenerator generator(model, "teacher:m");
  const auto candidates = generator.complete(test::code_task("cube"), {kPrefix}, 5);
  EXPECT_EQ(candidates[0].status, Candidate::Status::kMalformed);
  EXPECT_THAT(candidates[0].problem, HasSubstr("# Step 2:"));
}

TEST(ModelGenerator, NamesTheArgumentWhereAQueryStandsForMany) {
  ScriptedModel model("Fine.\n```python\n# Step 1: a\n```");
  ModelGenerator generator(model, "model:m");
  Task set = test::code_task("cube");
  set.entry_point = kEntryArgument;
  generator.draft(set, 1, "", 5);
  EXPECT_THAT(user_text(model.requests().at(0)),
              HasSubstr("the function that the argument entry_point names"));
}

TEST(ModelGenerator, AsksForExactlyOneEdit) {
  ScriptedModel model("Better.\n```python\n# Step 1: a\n```");
  ModelGenerator generator(model, "teacher:m");
  Candidate parent;
  parent.code = "the parent's code\n";
  const Candidate edited = generator.refine(test::code_task("cube"), parent,
                                            {0.25, "KeyError: 'a'", "Earlier: nothing"}, 5);
  EXPECT_EQ(edited.code, "# Step 1: a\n");
  const auto text = user_text(model.requests().at(0));
  for (const char* part : {"exactly ONE", "0.2500", "the parent's code", "KeyError", "Earlier"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST(ModelGenerator, BansCatchingInCorrections) {
  ScriptedModel model("Mended.\n```python\n# Step 1: a\n```");
  ModelGenerator generator(model, "teacher:m");
  Candidate failed;
  failed.code = "broken\n";
  generator.correct(test::code_task("cube"), {{failed, "NameError: y (line 3)"}}, 5);
  const auto text = user_text(model.requests().at(0));
  EXPECT_THAT(text, HasSubstr("NameError: y (line 3)"));
  EXPECT_THAT(text, HasSubstr("try/except blocks are not allowed"));
}

TEST(ModelGenerator, TellsAFailedModelFromABadReply) {
  ScriptedModel down([](const ScriptedPrompt&) { return std::string(); },
                     [](const ScriptedPrompt&) { return ResponseStatus::kFailed; });
  ModelGenerator generator(down, "teacher:m");
  const auto drafts = generator.draft(test::code_task("cube"), 2, "", 5);
  ASSERT_EQ(drafts.size(), 2u);
  EXPECT_EQ(drafts[0].status, Candidate::Status::kFailed);
  EXPECT_EQ(drafts[0].problem, "scripted failure");
}

TEST(ModelGenerator, NeverShowsATest) {
  ScriptedModel model("Good.\n```python\nx = 1\n```");
  ModelGenerator generator(model, "teacher:m");
  Task task = test::code_task("cube");
  task.val_tests = {Json{{"args", {991}}, {"expected", 992}}};
  generator.draft(task, 1, "", 5);
  generator.extend(task, {{}}, 5);
  for (const auto& request : model.requests()) {
    EXPECT_THAT(user_text(request), Not(HasSubstr("991")));
  }
}

TEST(ModelGenerator, RefusesTemperatureZero) {
  ScriptedModel model("x");
  ModelGeneratorOptions options;
  options.temperature = 0;
  EXPECT_THROW(ModelGenerator(model, "teacher:m", options), InputError);
}

}  // namespace
}  // namespace weft
