// What the engine promises on the CPU alone: the trainer's bits, and few threads.
#include <ATen/Parallel.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "model/transformer/lora.h"
#include "tests/model/engine/engine_support.h"

namespace weft {
namespace {

using namespace test;

// Helpers of a thread that waits make libgomp put those of the engine to sleep between its loops.
TEST(CpuEngine, EndsTheHelpersOfTheThreadThatAsks) {
  const auto count_threads = [] {
    using Folder = std::filesystem::directory_iterator;
    return std::distance(Folder("/proc/self/task"), Folder());
  };
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  const auto engine = tiny_engine();
  const auto request = request_of(random_ids(1, 0), 10, 0);
  engine->complete(request);
  engine->wait_idle();
  const auto before = count_threads();
  at::parallel_for(0, 2, 1, [](int64_t, int64_t) {});
  EXPECT_EQ(count_threads(), before + 1);
  engine->complete(request);
  // A thread that has been joined may be listed for a moment longer.
  for (int i = 0; i < 1000 && count_threads() > before; ++i) std::this_thread::yield();
  EXPECT_EQ(count_threads(), before);
  at::set_num_threads(threads);
}

// The logprobs of `ids` after `prompt` by the forward pass that training differentiates.
std::vector<float> trainers_logprobs(Transformer& model, const std::vector<int32_t>& prompt,
                                     const std::vector<int32_t>& ids, const Lora* lora = nullptr) {
  std::vector<int64_t> all(prompt.begin(), prompt.end());
  all.insert(all.end(), ids.begin(), ids.end());
  const at::Tensor tokens = at::tensor(all, at::kLong);
  const auto first = static_cast<int64_t>(prompt.size()), count = static_cast<int64_t>(ids.size());
  for (const NamedParameter& p : model.parameters()) p.tensor->set_requires_grad(true);
  const PackedBatch batch = PackedBatch::from_lengths(std::vector{first + count});
  const at::Tensor hidden = model.forward_hidden(tokens, batch, lora).narrow(0, first - 1, count);
  EXPECT_TRUE(hidden.requires_grad());
  const at::Tensor logprobs = model.token_logprobs(hidden, tokens.narrow(0, first, count));
  for (const NamedParameter& p : model.parameters()) p.tensor->set_requires_grad(false);
  return {logprobs.const_data_ptr<float>(), logprobs.const_data_ptr<float>() + count};
}

class CpuEngineOfEach : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Tiny, CpuEngineOfEach,
                         testing::Values("tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(CpuEngineOfEach, LogprobsAreBitwiseTheTrainersForward) {
  const auto engine = tiny_engine(small_options(), GetParam());
  const auto prompt = random_ids(20, 1), ids = random_ids(15, 2);
  EXPECT_EQ(engine->logprobs({{prompt, ids, ""}})[0],
            trainers_logprobs(engine->model(), prompt, ids));
}

// Decoding, logprobs of given ids and training agree to the last bit, whatever shares the batch;
// the trainer's own microbatches are in tests/trainer/learn/update/same_bits_test.cpp.
TEST_P(CpuEngineOfEach, Bf16IsTheSameToTheBitInRolloutAndTraining) {
  const auto engine = tiny_engine(small_options(), GetParam(), "bf16");
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 9; ++i) requests.push_back(request_of(random_ids(5 + 16 * i, i), 20, i));
  const auto together = engine->complete_all(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto alone = engine->complete(requests[i]);
    const auto& ids = together[i].choices.at(0).ids;
    const auto& logprobs = together[i].choices.at(0).logprobs;
    EXPECT_EQ(alone.choices.at(0).ids, ids);
    EXPECT_EQ(alone.choices.at(0).logprobs, logprobs);
    EXPECT_EQ(engine->logprobs({{together[i].prompt_ids, ids, ""}})[0], logprobs);
    EXPECT_EQ(trainers_logprobs(engine->model(), together[i].prompt_ids, ids), logprobs);
  }
}

TEST(CpuEngine, Bf16AdaptersAreTheSameToTheBitInRolloutAndTraining) {
  const auto engine = tiny_engine(small_options(), "tiny_llama", "bf16");
  const std::shared_ptr<Lora> lora =
      Lora::load(test::fixture("tiny_llama_lora").string(), engine->model().config());
  engine->set_adapter("a", lora);
  TextRequest request = request_of(random_ids(40, 1), 20);
  const auto base = engine->complete(request);
  request.adapter = "a";
  const auto response = engine->complete(request);
  const auto& ids = response.choices.at(0).ids;
  const auto& logprobs = response.choices.at(0).logprobs;
  EXPECT_NE(logprobs, base.choices.at(0).logprobs);
  EXPECT_EQ(engine->logprobs({{response.prompt_ids, ids, "a"}})[0], logprobs);
  EXPECT_EQ(trainers_logprobs(engine->model(), response.prompt_ids, ids, lora.get()), logprobs);
}

}  // namespace
}  // namespace weft
