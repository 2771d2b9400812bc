#include "trainer/evaluate/cached_model.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "data/file_digest.h"
#include "tests/support/scripted_model.h"
#include "tests/support/small_disk.h"
#include "tests/support/support.h"
#include "trainer/evaluate/model_caches.h"

namespace weft {
namespace {

using test::ScriptedModel;
using test::ScriptedPrompt;

TextRequest ask(const std::string& text, int n = 1, uint64_t seed = 0) {
  TextRequest request;
  request.prompt = std::vector<ChatMessage>{{"user", text}};
  request.n = n;
  request.sampling.seed = seed;
  request.sampling.temperature = 0.5;
  return request;
}

class ReplyCaching : public ::testing::Test {
 protected:
  std::shared_ptr<ReplyCache> open() const { return std::make_shared<ReplyCache>(dir_ / "cache"); }
  std::filesystem::path file() const { return dir_ / "cache" / "replies.log"; }

  test::TempDir dir_;
  ScriptedModel model_{[](const ScriptedPrompt& prompt) {
    return prompt.user + " " + std::to_string(prompt.choice) + " of call " +
           std::to_string(prompt.call);
  }};
};

TEST_F(ReplyCaching, AsksOnceForTheSame) {
  CachedModel model(model_, open(), "r1");
  const TextResponse first = model.complete(ask("q", 2)), second = model.complete(ask("q", 2));
  EXPECT_EQ(model_.requests().size(), 1u);
  ASSERT_EQ(second.choices.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(second.choices[i].text, first.choices[i].text);
    EXPECT_EQ(second.choices[i].ids, first.choices[i].ids);
    EXPECT_EQ(second.choices[i].logprobs, first.choices[i].logprobs);
    EXPECT_EQ(second.choices[i].sampling_logprobs, first.choices[i].sampling_logprobs);
    EXPECT_EQ(second.choices[i].finish, first.choices[i].finish);
  }
  EXPECT_EQ(second.prompt_ids, first.prompt_ids);
  EXPECT_EQ(second.usage.prompt_tokens, first.usage.prompt_tokens);
  EXPECT_EQ(second.usage.completion_tokens, first.usage.completion_tokens);
}

// FIPS 180-2, appendix B.1.
TEST(Sha256, OfAbcIsThePublishedOne) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(ReplyCaching, SaysWhatWasNotPaid) {
  CachedModel model(model_, open(), "r1");
  const TextUsage paid = model.complete(ask("q", 2)).usage;
  EXPECT_EQ(model.use().replies, 0);
  EXPECT_EQ(model.use().asked, 2);
  model.complete(ask("q", 2));
  EXPECT_EQ(model.use().replies, 2);
  EXPECT_EQ(model.use().asked, 2);
  EXPECT_EQ(model.use().prompt_tokens, paid.prompt_tokens);
  EXPECT_EQ(model.use().completion_tokens, paid.completion_tokens);
}

TEST_F(ReplyCaching, ServesTheFirstSamplesOfMore) {
  CachedModel model(model_, open(), "r1");
  const TextResponse three = model.complete(ask("q", 3)), one = model.complete(ask("q", 1));
  EXPECT_EQ(model_.requests().size(), 1u);
  EXPECT_EQ(one.choices[0].text, three.choices[0].text);
  model.complete(ask("q", 4));
  EXPECT_EQ(model_.requests().size(), 2u);
}

TEST_F(ReplyCaching, TellsApartWhateverChangesAReply) {
  const auto cache = open();
  CachedModel model(model_, cache, "r1"), other(model_, cache, "r2");
  model.complete(ask("q"));
  other.complete(ask("q"));
  model.complete(ask("other"));
  model.complete(ask("q", 1, /*seed=*/7));
  TextRequest hotter = ask("q"), adapted = ask("q"), stopped = ask("q"), text = ask("q");
  hotter.sampling.temperature = 0.6;
  adapted.adapter = "a";
  stopped.sampling.stop = {"."};
  text.prompt = std::string("q");
  for (TextRequest& request : std::vector<TextRequest>{hotter, adapted, stopped, text}) {
    model.complete(std::move(request));
  }
  EXPECT_EQ(model_.requests().size(), 8u);
}

TEST_F(ReplyCaching, LastsBeyondTheProcess) {
  const std::string text = CachedModel(model_, open(), "r1").complete(ask("q")).choices[0].text;
  CachedModel model(model_, open(), "r1");
  EXPECT_EQ(model.complete(ask("q")).choices[0].text, text);
  EXPECT_EQ(model_.requests().size(), 1u);
}

TEST_F(ReplyCaching, LeavesOutATornLineAndADamagedOne) {
  {
    CachedModel model(model_, open(), "r1");
    for (const char* text : {"a", "b", "c"}) model.complete(ask(text));
  }
  std::string lines = read_file(file());
  lines[lines.find("\"text\":\"a") + 8] = 'x';
  lines.resize(lines.size() - 5);
  write_file_atomically(file(), lines);
  {
    CachedModel model(model_, open(), "r1");
    for (const char* text : {"a", "b", "c"}) {
      EXPECT_EQ(model.complete(ask(text)).choices[0].text.substr(0, 1), text);
    }
    EXPECT_EQ(model.use().replies, 1);
  }
  CachedModel model(model_, open(), "r1");
  for (const char* text : {"a", "b", "c"}) model.complete(ask(text));
  EXPECT_EQ(model.use().replies, 3);
}

TEST_F(ReplyCaching, KeepsNoFailureNoLoweredReplyAndNoStream) {
  ScriptedModel failing([](const ScriptedPrompt&) { return "x"; },
                        [](const ScriptedPrompt&) { return ResponseStatus::kFailed; });
  CachedModel failed(failing, open(), "r1");
  failed.complete(ask("q"));
  failed.complete(ask("q"));
  EXPECT_EQ(failing.requests().size(), 2u);
  CachedModel model(model_, open(), "r1");
  TextRequest lowered = ask("q"), streamed = ask("q");
  lowered.allowance.tokens = 2;
  streamed.on_delta = [](const StreamDelta&) {};
  EXPECT_TRUE(model.complete(lowered).lowered);
  model.complete(streamed);
  model.complete(ask("q"));
  EXPECT_EQ(model_.requests().size(), 3u);
}

TEST_F(ReplyCaching, HandsTheRestOnTogether) {
  CachedModel model(model_, open(), "r1");
  model.complete(ask("b"));
  const auto responses = model.complete_all({ask("a"), ask("b"), ask("c")});
  EXPECT_EQ(model_.requests().size(), 3u);
  EXPECT_EQ(responses[0].choices[0].text, "a 0 of call 1");
  EXPECT_EQ(responses[1].choices[0].text, "b 0 of call 0");
  EXPECT_EQ(responses[2].choices[0].text, "c 0 of call 2");
}

TEST_F(ReplyCaching, GoesOnWithoutKeepingOnAFullDisk) {
  std::string why;
  std::filesystem::create_directory(dir_ / "small");
  const auto disk = test::SmallDisk::mount(dir_ / "small", 1 << 20, why);
  if (!disk) GTEST_SKIP() << why;
  {
    CachedModel model(model_, std::make_shared<ReplyCache>(dir_ / "small" / "cache"), "r1");
    model.complete(ask("kept"));
    disk->fill_up_to(0);
    const std::string big(100'000, 'x');
    EXPECT_EQ(model.complete(ask(big)).status, ResponseStatus::kOk);
    EXPECT_EQ(model.complete(ask(big)).status, ResponseStatus::kOk);
    EXPECT_EQ(model_.requests().size(), 3u);
    model.complete(ask("kept"));
    EXPECT_EQ(model_.requests().size(), 3u);
  }
  disk->make_room();
  CachedModel model(model_, std::make_shared<ReplyCache>(dir_ / "small" / "cache"), "r1");
  model.complete(ask("kept"));
  EXPECT_EQ(model_.requests().size(), 3u);
  model.complete(ask("new"));
  model.complete(ask("new"));
  EXPECT_EQ(model_.requests().size(), 4u);
}

TEST_F(ReplyCaching, OfAnEvaluationTellsItsWorkersApart) {
  const std::string folder = (dir_ / "cache").string();
  const Json config = {{"dtype", "f32"}, {"worker", {{"kind", "local"}}}};
  ModelCaches first(folder, config, {});
  first.worker(model_).complete(ask("q"));
  Json other = config;
  other["dtype"] = "int8";
  ModelCaches rounded(folder, other, {}), same(folder, config, {});
  rounded.worker(model_).complete(ask("q"));
  same.worker(model_).complete(ask("q"));
  EXPECT_EQ(model_.requests().size(), 2u);
  EXPECT_EQ(same.use()["replies"], 1);
  EXPECT_EQ(&ModelCaches("", config, {}).worker(model_), &model_);
}

TEST_F(ReplyCaching, OfAnEvaluationAsksAgainWhereAServersFieldsMayChangeAReply) {
  const std::string folder = (dir_ / "cache").string();
  const auto ask_with = [&](const char* key, const Json& value) {
    Json config = {{"worker", {{"kind", "remote"}, {"remote", {{"base_url", "http://h/v1"}}}}}};
    config["worker"]["remote"][key] = value;
    ModelCaches caches(folder, config, {});
    caches.worker(model_).complete(ask("q"));
    return model_.requests().size();
  };
  EXPECT_EQ(ask_with("extra_body", Json::object()), 1u);
  EXPECT_EQ(ask_with("extra_body", {{"reasoning_effort", "high"}}), 2u);
  EXPECT_EQ(ask_with("strict_openai", true), 3u);
  EXPECT_EQ(ask_with("max_retries", 1), 4u) << "no extra_body is not an empty one";
  EXPECT_EQ(ask_with("timeout_s", 9), 4u) << "when a server is asked changes nothing";
}

}  // namespace
}  // namespace weft
