// Sequences over a model that keeps none: an engine used as a server's model would be, and a server
// on loopback that answers in vLLM's form, also where vLLM would not.
#include "model/remote/remote_sequences.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "model/engine/engine_sequences.h"
#include "model/remote/remote_model.h"
#include "tests/model/engine/engine_support.h"
#include "tests/model/remote/faulty_server.h"

namespace weft {
namespace {

using namespace test;

SamplingParams sampling(int max_tokens, uint64_t seed) {
  SamplingParams params;
  params.max_tokens = max_tokens;
  params.seed = seed;
  params.ignore_eos = true;
  return params;
}

// What search does with sequences: a stem, forks of it, each cut at a stop string, then going on.
std::vector<std::vector<int32_t>> grown(SequenceModel& sequences, const std::string& stop) {
  const SequenceId stem = sequences.open(random_ids(21, 1));
  EXPECT_EQ(sequences.extend({{stem, sampling(9, 1)}})[0].status, ResponseStatus::kOk);
  std::vector<SequenceModel::Extension> extensions;
  for (uint64_t i = 0; i < 5; ++i) {
    extensions.push_back({sequences.fork(stem), sampling(30, 10 + i)});
    extensions.back().sampling.stop = {stop};
  }
  for (const auto& response : sequences.extend(extensions)) {
    EXPECT_EQ(response.status, ResponseStatus::kOk) << response.error;
  }
  sequences.append(extensions[0].sequence, random_ids(7, 2));
  sequences.extend({{extensions[0].sequence, sampling(6, 20)}});
  std::vector<std::vector<int32_t>> ids = {sequences.ids(stem)};
  for (const auto& extension : extensions) ids.push_back(sequences.ids(extension.sequence));
  sequences.release(stem);
  EXPECT_THROW(sequences.ids(stem), InputError);
  return ids;
}

TEST(RemoteSequences, GrowAsTheEnginesOwn) {
  const auto engine = tiny_engine();
  RemoteSequences remote(*engine, *engine->tokenizer());
  EngineSequences local(*engine);
  TextRequest request = request_of(local.ids(local.open(random_ids(21, 1))), 40, 10);
  const std::string text = engine->complete(request).choices[0].text;
  int cut = 0;
  for (size_t at = 0; at + 2 <= text.size() && at < 24; at += 3) {
    const auto expected = grown(local, text.substr(at, 2));
    EXPECT_EQ(grown(remote, text.substr(at, 2)), expected);
    for (size_t i = 2; i < expected.size(); ++i) cut += expected[i].size() < 21 + 9 + 30;
  }
  EXPECT_GT(cut, 0) << "no stop string was met";
}

TEST(RemoteSequences, BadUseIsRefused) {
  const auto engine = tiny_engine();
  RemoteSequences sequences(*engine, *engine->tokenizer());
  EXPECT_THROW(sequences.open({}), InputError);
  EXPECT_THROW(sequences.open({-1}), InputError);
  EXPECT_THROW(sequences.open({engine->tokenizer()->vocab_size()}), InputError);
  const SequenceId id = sequences.open({5, 6});
  EXPECT_THROW(sequences.append(id, {-1}), InputError);
  EXPECT_THROW(sequences.extend({{id, sampling(1, 1)}, {id, sampling(1, 2)}}), InputError);
  EXPECT_EQ(sequences.extend({{id, sampling(-1, 1)}})[0].status, ResponseStatus::kRefused);
  EXPECT_EQ(sequences.ids(id), (std::vector<int32_t>{5, 6}));
  EXPECT_THROW(sequences.logprobs({{id, {7}}}), InputError) << "the engine refuses prompt_logprobs";
}

// An answer of one id 7, to which a test adds fields.
Json vllm_answer(const Json& body) {
  return {{"choices",
           {{{"index", 0},
             {"text", "x"},
             {"token_ids", {7}},
             {"prompt_token_ids", body["prompt"]},
             {"finish_reason", "length"}}}}};
}

class RemoteSequencesOverHttp : public testing::Test {
 protected:
  // Serves what `answer` makes of each request.
  void serve(std::function<Reply(const Json&)> answer) {
    setenv("no_proxy", "127.0.0.1", 1);
    server_ = std::make_unique<FaultyServer>([answer](int, const std::string&, const Json& body,
                                                      const std::string&) { return answer(body); });
    RemoteModelOptions options;
    options.base_url = server_->base_url();
    options.model = "m";
    options.request_ids = true;
    options.max_retries = 0;
    model_ = std::make_unique<RemoteModel>(options);
    sequences_ = std::make_unique<RemoteSequences>(*model_, *engine_->tokenizer());
  }

  static Reply reply(const Json& body, int status = 200) {
    Reply reply;
    reply.status = status;
    reply.body = dump_json(body);
    return reply;
  }

  std::unique_ptr<Engine> engine_ = tiny_engine();
  std::unique_ptr<FaultyServer> server_;
  std::unique_ptr<RemoteModel> model_;
  std::unique_ptr<RemoteSequences> sequences_;
};

TEST_F(RemoteSequencesOverHttp, LogprobsComeFromThoseOfThePrompt) {
  serve([](const Json& body) {
    Json answer = vllm_answer(body);
    EXPECT_EQ(body["prompt_logprobs"], 0);
    EXPECT_EQ(body["return_token_ids"], true);
    Json list = {nullptr};  // the first id has no logprob
    for (size_t i = 1; i < body["prompt"].size(); ++i) {
      const int id = body["prompt"][i];
      list.push_back({{std::to_string(id), {{"logprob", -0.5 * id}, {"rank", 1}}},
                      {"1", {{"logprob", -99.0}, {"rank", 1}}}});
    }
    answer["choices"][0]["prompt_logprobs"] = list;
    return reply(answer);
  });
  const SequenceId id = sequences_->open({5, 6});
  EXPECT_EQ(sequences_->logprobs({{id, {8, 9}}, {id, {10}}, {id, {}}}),
            (std::vector<std::vector<float>>{{-4, -4.5}, {-5}, {}}));
  EXPECT_EQ(sequences_->ids(id), (std::vector<int32_t>{5, 6}));
}

TEST_F(RemoteSequencesOverHttp, WhatAServerLacksIsSaid) {
  std::function<void(Json&)> change;
  serve([&](const Json& body) {
    Json answer = vllm_answer(body);
    change(answer["choices"][0]);
    return reply(answer);
  });
  const SequenceId id = sequences_->open({5, 6});
  const auto expect_failed = [&](const std::string& why) {
    const auto response = sequences_->extend({{id, sampling(1, 1)}})[0];
    EXPECT_EQ(response.status, ResponseStatus::kFailed);
    EXPECT_NE(response.error.find(why), std::string::npos) << response.error;
    EXPECT_EQ(sequences_->ids(id), (std::vector<int32_t>{5, 6}));
  };
  change = [](Json& choice) { choice.erase("token_ids"); };
  expect_failed("no token ids");
  change = [](Json& choice) { choice["prompt_token_ids"] = {1, 5, 6}; };
  expect_failed("changed the prompt");
  EXPECT_THROW(sequences_->logprobs({{id, {7}}}), Error);
  change = [](Json&) {};
  EXPECT_THROW(sequences_->logprobs({{id, {7}}}), Error) << "no prompt_logprobs";
  change = [](Json& choice) { choice["prompt_logprobs"] = {nullptr, {{"6", {{"logprob", -1}}}}}; };
  EXPECT_THROW(sequences_->logprobs({{id, {7}}}), Error) << "too few prompt_logprobs";
  change = [](Json&) {};
  EXPECT_EQ(sequences_->extend({{id, sampling(1, 1)}})[0].status, ResponseStatus::kOk);
  EXPECT_EQ(sequences_->ids(id), (std::vector<int32_t>{5, 6, 7}));
}

TEST_F(RemoteSequencesOverHttp, ARefusalIsTheCallersFault) {
  serve([](const Json&) { return reply({{"error", {{"message", "too long"}}}}, 400); });
  const SequenceId id = sequences_->open({5, 6});
  EXPECT_THROW(sequences_->logprobs({{id, {7}}}), InputError);
  EXPECT_EQ(sequences_->extend({{id, sampling(1, 1)}})[0].status, ResponseStatus::kRefused);
}

}  // namespace
}  // namespace weft
