// What a remote model makes of answers that are not as asked for, on a server on loopback.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "model/remote/remote_model.h"
#include "tests/model/remote/faulty_server.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using test::completion_reply;
using test::FaultyServer;
using test::options_for;
using test::Reply;
using Clock = std::chrono::steady_clock;

TextRequest chat(int n = 1) {
  TextRequest request;
  request.prompt = std::vector<ChatMessage>{{"user", "x"}};
  request.n = n;
  request.sampling.max_tokens = 8;
  return request;
}

Reply with_body(const Json& body, int status = 200) {
  Reply reply;
  reply.status = status;
  reply.body = dump_json(body);
  return reply;
}

// 3 requests of two choices at a server that gives one made 21 attempts, and no cost was counted.
TEST(RemoteAnswers, AsksForTheChoicesThatAreMissingOneByOne) {
  std::atomic<int> posts = 0;
  FaultyServer server([&](int number, const std::string&, const Json& body, const std::string&) {
    ++posts;
    Json one = body;
    one["n"] = 1;
    return completion_reply(one, std::to_string(number));
  });
  RemoteModel model(options_for(server));
  for (int i = 0; i < 3; ++i) {
    const TextResponse response = model.complete(chat(2));
    ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
    ASSERT_EQ(response.choices.size(), 2u);
    EXPECT_NE(response.choices[0].text, response.choices[1].text);
    EXPECT_EQ(response.usage.completion_tokens, 10);
  }
  EXPECT_EQ(posts, 6);
  EXPECT_EQ(model.total_usage().completion_tokens, 30);
}

TEST(RemoteAnswers, TheMissingChoicesHaveSeedsOfTheirOwn) {
  std::mutex mutex;
  std::multiset<std::string> seeds;
  FaultyServer server([&](int, const std::string&, const Json& body, const std::string&) {
    const std::lock_guard lock(mutex);
    seeds.insert(dump_json(body["seed"]));
    Json one = body;
    one["n"] = 1;
    return completion_reply(one);
  });
  RemoteModel model(options_for(server));
  ASSERT_EQ(model.complete(chat(4)).status, ResponseStatus::kOk);
  EXPECT_EQ(std::set<std::string>(seeds.begin(), seeds.end()).size(), 4u);
}

TEST(RemoteAnswers, AnAnswerThatCannotBeUsedIsPaidForOnceAndCounted) {
  const Json bad = {{"choices", Json::array()},
                    {"usage", {{"prompt_tokens", 40}, {"completion_tokens", 2}}}};
  FaultyServer server(
      [&](int, const std::string&, const Json&, const std::string&) { return with_body(bad); });
  RemoteModel model(options_for(server));
  const TextResponse response = model.complete(chat());
  EXPECT_EQ(response.status, ResponseStatus::kFailed);
  EXPECT_EQ(response.usage.prompt_tokens, 40);
  EXPECT_EQ(server.num_requests(), 1);
  EXPECT_EQ(model.total_usage().prompt_tokens, 40);
}

// Each attempt is paid for: the budget ends them, not the number of attempts.
TEST(RemoteAnswers, ABudgetBindsWithoutUsageToo) {
  const Json silent = {{"choices", {{{"text", std::string(400, 'a')}}}}};
  FaultyServer server(
      [&](int, const std::string&, const Json&, const std::string&) { return with_body(silent); });
  RemoteModelOptions options = options_for(server);
  options.max_total_tokens = 250;
  RemoteModel model(options);
  int answered = 0;
  for (int i = 0; i < 5; ++i) answered += model.complete(chat()).status == ResponseStatus::kOk;
  EXPECT_EQ(answered, 3);  // of 101 tokens each; the third began with 202 spent
  EXPECT_TRUE(model.total_usage().estimated);
}

TEST(RemoteAnswers, FollowsTheSameServerAndNoOther) {
  FaultyServer other([](int, const std::string&, const Json& body, const std::string&) {
    return completion_reply(body);
  });
  std::string elsewhere;
  FaultyServer server(
      [&](int number, const std::string& path, const Json& body, const std::string&) {
        if (path == "/v1/moved") return completion_reply(body, "moved");
        Reply reply;
        reply.status = number == 0 ? 307 : 308;
        reply.headers = {{"Location", elsewhere.empty() ? "/v1/moved" : elsewhere}};
        return reply;
      });
  setenv("WEFT_TEST_KEY", "sk-7f3a", 1);
  RemoteModelOptions options = options_for(server);
  options.api_key_env = "WEFT_TEST_KEY";
  RemoteModel model(options);
  const TextResponse followed = model.complete(chat());
  ASSERT_EQ(followed.status, ResponseStatus::kOk) << followed.error;
  EXPECT_EQ(followed.choices[0].text, "moved");
  elsewhere = other.base_url() + "/chat/completions";
  const TextResponse refused = model.complete(chat());
  EXPECT_EQ(refused.status, ResponseStatus::kFailed);
  EXPECT_NE(refused.error.find("not the same server"), std::string::npos) << refused.error;
  EXPECT_EQ(other.num_requests(), 0);
}

TEST(RemoteAnswers, ARedirectInACircleEnds) {
  FaultyServer server([](int, const std::string&, const Json&, const std::string&) {
    Reply reply;
    reply.status = 307;
    reply.headers = {{"Location", "/v1/again"}};
    return reply;
  });
  RemoteModel model(options_for(server));
  EXPECT_EQ(model.complete(chat()).status, ResponseStatus::kFailed);
  EXPECT_LE(server.num_requests(), 10);
}

// The limit is on silence: this answer takes three times as long as it, a byte at a time.
TEST(RemoteAnswers, WaitsForALongAnswerThatGoesOn) {
  FaultyServer server([](int, const std::string&, const Json& body, const std::string&) {
    Reply reply = completion_reply(body);
    reply.trickle_ms = static_cast<int>(3000 / reply.body.size()) + 1;
    return reply;
  });
  RemoteModelOptions options = options_for(server);
  options.timeout_s = 1;
  RemoteModel model(options);
  const TextResponse response = model.complete(chat());
  EXPECT_EQ(response.status, ResponseStatus::kOk) << response.error;
  EXPECT_EQ(server.num_requests(), 1);
}

// One 429 holds back what is queued: the others of the queue do not find it out one by one.
TEST(RemoteAnswers, TooManyRequestsPausesTheServerForTheWholeQueue) {
  std::atomic<int> refused = 0;
  const auto start = Clock::now();
  FaultyServer server([&](int, const std::string&, const Json& body, const std::string&) {
    if (Clock::now() - start > std::chrono::milliseconds(900)) return completion_reply(body);
    ++refused;
    Reply reply = with_body({{"error", {{"message", "slow down"}}}}, 429);
    reply.headers = {{"Retry-After", "1"}};
    return reply;
  });
  RemoteModelOptions options = options_for(server);
  options.max_concurrent = 1;
  RemoteModel model(options);
  for (const auto& response : model.complete_all(std::vector<TextRequest>(8, chat()))) {
    EXPECT_EQ(response.status, ResponseStatus::kOk) << response.error;
  }
  EXPECT_EQ(refused, 1);
}

TEST(RemoteAnswers, ReadsACompressedAnswer) {
  // gzip of {"choices":[{"text":"packed"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}
  const std::string hex =
      "1f8b0800000000000203ab564acec8cf4c4e2d56b28aae562a49ad2851b2522a484cce4e4d51aa8d"
      "d5512a2d4e4c4f55b2aa562a28cacf2d28892fc9cf4ecd032a36d4514a060ae4a49664e6e721446b"
      "6b01d119ecf651000000";
  std::string packed;
  for (size_t i = 0; i < hex.size(); i += 2) {
    packed += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  FaultyServer server([&](int, const std::string&, const Json&, const std::string&) {
    Reply reply;
    reply.body = packed;
    reply.headers = {{"Content-Encoding", "gzip"}};
    return reply;
  });
  RemoteModel model(options_for(server));
  const TextResponse response = model.complete(chat());
  ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
  EXPECT_EQ(response.choices[0].text, "packed");
}

TEST(RemoteAnswers, NamesTheLimitAsTheServerWantsIt) {
  std::atomic<bool> right = false;
  FaultyServer server([&](int, const std::string&, const Json& body, const std::string&) {
    right = body.contains("max_completion_tokens") && !body.contains("max_tokens");
    return completion_reply(body);
  });
  RemoteModelOptions options = options_for(server);
  options.max_tokens_field = "max_completion_tokens";
  RemoteModel model(options);
  EXPECT_EQ(model.complete(chat()).status, ResponseStatus::kOk);
  EXPECT_TRUE(right);
}

// A server that gives the key back in whatever place: it is in no text, error or recording.
TEST(RemoteAnswers, TheKeyIsInNoOutput) {
  const std::string key = "sk-7f/3a";
  setenv("WEFT_TEST_KEY", (key + "\n").c_str(), 1);
  test::TempDir dir;
  std::atomic<bool> header_whole = true;
  FaultyServer server(
      [&](int number, const std::string&, const Json& body, const std::string& authorization) {
        header_whole = header_whole && authorization == "Bearer " + key;
        if (number == 0) return completion_reply(body, "your key is " + key);
        if (number == 1) return with_body({{"error", "sk%2D7f%2F3a, " + key}}, 401);
        Reply reply;  // JSON may spell a slash "\/"
        reply.status = 500;
        reply.body = "{\"error\": \"sk-7f\\/3a\"}";
        return reply;
      });
  RemoteModelOptions options = options_for(server);
  options.api_key_env = "WEFT_TEST_KEY";
  options.max_retries = 0;
  options.record = (dir / "answers.jsonl").string();
  RemoteModel model(options);
  std::string outputs;
  for (int i = 0; i < 3; ++i) {
    const TextResponse response = model.complete(chat());
    outputs += response.error + "\n";
    for (const Completion& choice : response.choices) outputs += choice.text + "\n";
  }
  outputs += read_file(dir / "answers.jsonl");
  EXPECT_TRUE(header_whole);
  for (const char* spelling : {"sk-7f/3a", "sk-7f\\/3a", "7f%2F3a", "7f/3a"}) {
    EXPECT_EQ(outputs.find(spelling), std::string::npos) << outputs;
  }
}

TEST(RemoteAnswers, RefusesAnAddressWithAPasswordInIt) {
  RemoteModelOptions options;
  options.base_url = "http://user:sk-7f3a@127.0.0.1:1/v1";
  try {
    RemoteModel model(options);
    FAIL() << "taken";
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()).find("7f3a"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace weft
