#include "model/engine/engine_sequences.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/transformer/lora.h"
#include "tests/model/engine/engine_support.h"

namespace weft {
namespace {

using namespace test;

SamplingParams sampling(int max_tokens, uint64_t seed = 1, double temperature = 1) {
  SamplingParams params;
  params.max_tokens = max_tokens;
  params.seed = seed;
  params.temperature = temperature;
  params.ignore_eos = true;
  return params;
}

std::vector<int32_t> extended(EngineSequences& sequences, SequenceId id,
                              const SamplingParams& params) {
  const auto responses = sequences.extend({{id, params}});
  EXPECT_EQ(responses[0].status, ResponseStatus::kOk) << responses[0].error;
  return sequences.ids(id);
}

std::vector<int32_t> joined(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(EngineSequences, GrowInPiecesAsInOne) {
  const auto engine = tiny_engine();
  EngineSequences sequences(*engine);
  const auto prompt = random_ids(21, 1);
  const SequenceId id = sequences.open(prompt);
  for (const int piece : {1, 7, 20, 4}) extended(sequences, id, sampling(piece, 1, 0));
  TextRequest whole = request_of(prompt, 32);
  whole.sampling.temperature = 0;
  EXPECT_EQ(sequences.ids(id), joined(prompt, engine->complete(whole).choices[0].ids));
  sequences.release(id);
  expect_idle_and_empty(*engine);
}

TEST(EngineSequences, AForkSharesWhatIsComputed) {
  const auto engine = tiny_engine();
  EngineSequences sequences(*engine);
  const SequenceId parent = sequences.open(random_ids(37, 1));
  const auto text = extended(sequences, parent, sampling(40));
  const auto before = engine->stats();
  EXPECT_EQ(before.kv_blocks_used, 5);  // of 76 tokens; the last one sampled is not in the cache
  std::vector<SequenceModel::Extension> extensions;
  for (uint64_t i = 0; i < 8; ++i) {
    extensions.push_back({sequences.fork(parent), sampling(3, 10 + i)});
  }
  EXPECT_EQ(engine->stats().kv_blocks_used, 5);
  const auto responses = sequences.extend(extensions);
  EXPECT_EQ(engine->stats().prefill_tokens - before.prefill_tokens, 8);
  EXPECT_EQ(engine->stats().kv_blocks_used, 5 + 8);  // 79 tokens: the full blocks are shared
  EXPECT_EQ(sequences.ids(parent), text);
  for (uint64_t i = 0; i < 8; ++i) {
    expect_same(responses[i], engine->complete(request_of(text, 3, 10 + i)));
    sequences.release(extensions[i].sequence);
  }
  sequences.release(parent);
  expect_idle_and_empty(*engine);
}

TEST(EngineSequences, AppendedIdsAreComputedOnce) {
  const auto engine = tiny_engine();
  EngineSequences sequences(*engine);
  const SequenceId id = sequences.open(random_ids(20, 1));
  extended(sequences, id, sampling(10));
  const auto more = random_ids(30, 2);
  sequences.append(id, more);
  const auto text = sequences.ids(id);
  const int64_t before = engine->stats().prefill_tokens;
  const auto responses = sequences.extend({{id, sampling(5, 3)}});
  EXPECT_EQ(engine->stats().prefill_tokens - before, 31);
  expect_same(responses[0], engine->complete(request_of(text, 5, 3)));
}

// The boundary is where the text of the kept ids ends, at or just before the stop string.
TEST(EngineSequences, AStopStringIsABoundaryToGoOnFrom) {
  const auto engine = tiny_engine();
  EngineSequences sequences(*engine);
  const auto prompt = random_ids(20, 4);
  const auto free = engine->complete(request_of(prompt, 40, 5)).choices[0];
  SamplingParams params = sampling(40, 5);
  params.stop = {free.text.substr(free.text.size() / 2, 3)};
  const SequenceId id = sequences.open(prompt);
  const auto response = sequences.extend({{id, params}})[0];
  ASSERT_EQ(response.choices[0].finish, FinishReason::kStop);
  const auto ids = sequences.ids(id);
  ASSERT_LT(ids.size(), prompt.size() + response.choices[0].ids.size());
  const std::vector<int32_t> kept(ids.begin() + 20, ids.end());
  const std::string text = engine->tokenizer()->decode(kept);
  EXPECT_TRUE(response.choices[0].text.starts_with(text));
  EXPECT_EQ(text.find(params.stop[0]), std::string::npos);
  const std::vector<int32_t> one_more(response.choices[0].ids.begin(),
                                      response.choices[0].ids.begin() + std::ssize(kept) + 1);
  EXPECT_GT(engine->tokenizer()->decode(one_more).size(), response.choices[0].text.size());
  const SequenceId otherwise = sequences.fork(id);
  sequences.append(otherwise, random_ids(9, 6));  // in place of the stop string's ids
  const auto longer = sequences.ids(otherwise);
  expect_same(sequences.extend({{otherwise, sampling(6, 8)}})[0],
              engine->complete(request_of(longer, 6, 8)));
  const int64_t before = engine->stats().prefill_tokens;
  expect_same(sequences.extend({{id, sampling(6, 8)}})[0], engine->complete(request_of(ids, 6, 8)));
  EXPECT_LE(engine->stats().prefill_tokens - before, 1 + 16);  // the second by the prefix index
}

TEST(EngineSequences, ACacheFullOfThemLetsGoAndComputesAgain) {
  EngineOptions options = small_options();
  options.kv_mb = 1;  // 2,048 tokens
  const auto engine = tiny_engine(options);
  EngineSequences sequences(*engine);
  std::vector<SequenceModel::Extension> extensions;
  std::vector<std::vector<int32_t>> texts;
  for (uint64_t i = 0; i < 20; ++i) {
    const SequenceId id = sequences.open(random_ids(150, i));
    texts.push_back(extended(sequences, id, sampling(30, i)));
    extensions.push_back({id, sampling(40, 100 + i)});
  }
  EXPECT_GT(engine->stats().kv_blocks_used, 100);
  const auto responses = sequences.extend(extensions);
  for (uint64_t i = 0; i < 20; ++i) {
    expect_same(responses[i], engine->complete(request_of(texts[i], 40, 100 + i)));
    sequences.release(extensions[i].sequence);
  }
  expect_idle_and_empty(*engine);
}

TEST(EngineSequences, NewWeightsAndAdaptersAreNotMistaken) {
  const auto engine = tiny_engine();
  const auto load = [&] {
    return Lora::load(fixture("tiny_llama_lora").string(), engine->model().config());
  };
  engine->set_adapter("a", load());
  EngineSequences sequences(*engine);
  const SequenceId base = sequences.open(random_ids(40, 1));
  const SequenceId adapted = sequences.open(random_ids(40, 1), "a");
  const auto text = extended(sequences, base, sampling(20));
  const auto adapted_text = extended(sequences, adapted, sampling(20));
  const std::shared_ptr<Lora> zero = load();
  for (auto& b : zero->layer(0).b) b.zero_();
  engine->set_adapter("a", zero);
  TextRequest request = request_of(adapted_text, 5, 2);
  request.adapter = "a";
  expect_same(sequences.extend({{adapted, sampling(5, 2)}})[0], engine->complete(request));
  engine->weights_changed();
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
  expect_same(sequences.extend({{base, sampling(5, 2)}})[0],
              engine->complete(request_of(text, 5, 2)));
}

TEST(EngineSequences, LogprobsAreTheEngines) {
  const auto engine = tiny_engine();
  EngineSequences sequences(*engine);
  const SequenceId id = sequences.open(random_ids(10, 1));
  const auto ids = extended(sequences, id, sampling(10));
  const auto one = random_ids(5, 2), other = random_ids(9, 3);
  EXPECT_EQ(sequences.logprobs({{id, one}, {id, other}}),
            engine->logprobs({{ids, one, ""}, {ids, other, ""}}));
  EXPECT_EQ(sequences.ids(id), ids);
}

TEST(EngineSequences, BadUseIsRefusedAndChangesNothing) {
  EngineOptions options = small_options();
  options.max_context = 64;
  const auto engine = tiny_engine(options);
  EngineSequences sequences(*engine);
  EXPECT_THROW(sequences.open({}), InputError);
  EXPECT_THROW(sequences.open({-1}), InputError);
  EXPECT_THROW(sequences.open(random_ids(64, 1)), InputError);
  EXPECT_THROW(sequences.open({1}, "missing"), InputError);
  const SequenceId id = sequences.open(random_ids(60, 1));
  EXPECT_THROW(sequences.extend({{id, sampling(1)}, {id, sampling(2)}}), InputError);
  sequences.append(id, random_ids(10, 2));
  const auto ids = sequences.ids(id);
  EXPECT_EQ(sequences.extend({{id, sampling(4)}})[0].status, ResponseStatus::kRefused);
  EXPECT_EQ(sequences.ids(id), ids);
  sequences.release(id);
  EXPECT_THROW(sequences.release(id), InputError);
  EXPECT_THROW(sequences.fork(id), InputError);
  expect_idle_and_empty(*engine);
}

}  // namespace
}  // namespace weft
