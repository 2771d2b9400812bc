// What a model behind a server may spend, and what one request may.
#include <gtest/gtest.h>

#include <mutex>
#include <vector>

#include "base/json.h"
#include "model/remote/remote_model.h"
#include "tests/model/remote/faulty_server.h"

namespace weft {
namespace {

using namespace test;

TextRequest chat(const std::string& text, int n = 1) {
  TextRequest request;
  request.prompt = std::vector<ChatMessage>{{"user", text}};
  request.n = n;
  request.sampling.max_tokens = 8;
  return request;
}

/// The max_tokens of each request, in their order. Thread-safe: a server answers on many threads.
class Asked {
 public:
  void add(int max_tokens) {
    const std::lock_guard lock(mutex_);
    all_.push_back(max_tokens);
  }
  std::vector<int> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<int> all_;
};

// Takes all that it may: as many tokens as it is allowed, of each choice.
FaultyServer::Answer talkative(Asked& asked) {
  return [&asked](int, const std::string&, const Json& body, const std::string&) {
    const int most = body.at("max_tokens").get<int>();
    asked.add(most);
    Reply reply = completion_reply(body);
    Json json = parse_json(reply.body, "reply");
    json["usage"] = {{"prompt_tokens", 0}, {"completion_tokens", most * body.at("n").get<int>()}};
    reply.body = dump_json(json);
    return reply;
  };
}

// Six at once of 8 tokens each; the fifth waits for those before it and gets what they left.
TEST(RemoteBudget, OfTokensIsSpentAndNoMore) {
  Asked asked;
  FaultyServer server(talkative(asked));
  RemoteModelOptions options = options_for(server);
  options.max_total_tokens = 37;
  RemoteModel model(options);
  const auto responses = model.complete_all(std::vector<TextRequest>(6, chat("x")));
  int answered = 0, lowered = 0;
  for (const auto& response : responses) {
    answered += response.status == ResponseStatus::kOk;
    lowered += response.lowered;
    if (response.status == ResponseStatus::kOk) continue;
    EXPECT_EQ(response.status, ResponseStatus::kOutOfBudget);
    EXPECT_NE(response.error.find("max_total_tokens 37"), std::string::npos) << response.error;
  }
  EXPECT_EQ(answered, 5);
  EXPECT_EQ(lowered, 1);
  EXPECT_EQ(model.total_usage().completion_tokens, 37);
  EXPECT_EQ(asked.all(), (std::vector{8, 8, 8, 8, 5}));
}

TEST(RemoteBudget, OfMoneyIsSpentAndNoMore) {
  Asked asked;
  FaultyServer server(talkative(asked));
  RemoteModelOptions options = options_for(server);
  options.usd_per_mtok_out = 1e6;
  options.max_total_usd = 12;
  RemoteModel model(options);
  EXPECT_FALSE(model.complete(chat("x")).lowered);
  EXPECT_TRUE(model.complete(chat("x")).lowered);
  EXPECT_DOUBLE_EQ(model.total_usage().usd, 12);
  EXPECT_EQ(model.complete(chat("x")).status, ResponseStatus::kOutOfBudget);
  EXPECT_EQ(asked.all(), (std::vector{8, 4}));
}

TEST(RemoteBudget, ARequestIsLoweredToItsAllowance) {
  Asked asked;
  FaultyServer server(talkative(asked));
  RemoteModelOptions options = options_for(server);
  options.usd_per_mtok_out = 1e6;
  RemoteModel model(options);
  TextRequest request = chat("four bytes a token..", 3);  // 5 tokens
  request.allowance.tokens = 12;
  auto response = model.complete(request);
  EXPECT_TRUE(response.lowered);
  EXPECT_EQ(response.choices.size(), 3u);
  request.allowance.tokens = 7;
  EXPECT_EQ(model.complete(request).choices.size(), 2u);
  request.allowance.tokens = 5;
  response = model.complete(request);
  EXPECT_EQ(response.status, ResponseStatus::kOutOfBudget);
  EXPECT_EQ(response.error,
            "a prompt of 5 tokens leaves nothing of the 5 tokens that this request may take");
  request.allowance = {.tokens = 1000, .usd = 6};
  EXPECT_EQ(model.complete(request).choices.size(), 3u);
  EXPECT_EQ(asked.all(), (std::vector{2, 1, 2}));
}

TEST(RemoteBudget, SeveralGreedyChoicesCostOne) {
  Asked asked;
  FaultyServer server(talkative(asked));
  RemoteModelOptions options = options_for(server);
  options.max_total_tokens = 8;  // what one choice may take
  RemoteModel model(options);
  TextRequest request = chat("x", 3);
  request.sampling.temperature = 0;
  const TextResponse response = model.complete(request);
  ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
  EXPECT_FALSE(response.lowered);
  ASSERT_EQ(response.choices.size(), 3u);
  for (const Completion& choice : response.choices) EXPECT_EQ(choice.text, "ok");
  EXPECT_EQ(response.usage.completion_tokens, 8);
}

}  // namespace
}  // namespace weft
