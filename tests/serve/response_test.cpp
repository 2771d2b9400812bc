#include "serve/response.h"

#include <gtest/gtest.h>

#include "tests/support/support.h"

namespace weft {
namespace {

// The ids of "Hé you" one after the other, streamed in two pieces and answered whole.
TEST(AnswerWriter, OffsetsOfAStreamGoOnFromChunkToChunk) {
  const auto tokenizer = Tokenizer::load(test::fixture("tiny_llama"));
  const std::vector<int32_t> ids = tokenizer->encode("Hé you", false);
  ASSERT_GE(ids.size(), 3u);
  GenerationCall call;
  call.logprobs = true;
  AnswerWriter writer(call, {"id", 0, "m"}, tokenizer.get());
  TextResponse response;
  response.choices.resize(1);
  response.choices[0].ids = ids;
  response.choices[0].logprobs.assign(ids.size(), -1.0f);
  const Json whole = writer.whole({response})["choices"][0]["logprobs"]["text_offset"];

  Json streamed = Json::array();
  for (const int32_t id : ids) {
    const Json chunk = writer.delta_chunk(0, {0, "", {id}, {-1.0f}});
    streamed.push_back(chunk["choices"][0]["logprobs"]["text_offset"][0]);
  }
  EXPECT_EQ(streamed, whole);
  EXPECT_EQ(whole[0], 0);
  EXPECT_GT(whole.back(), 0);
}

TEST(AnswerWriter, OffsetsCountCharacters) {
  const auto tokenizer = Tokenizer::load(test::fixture("tiny_llama"));
  GenerationCall call;
  call.logprobs = true;
  AnswerWriter writer(call, {"id", 0, "m"}, tokenizer.get());
  int64_t expected = 0;
  for (const int32_t id : tokenizer->encode("a b c d", false)) {
    const Json chunk = writer.delta_chunk(0, {0, "", {id}, {-1.0f}});
    EXPECT_EQ(chunk["choices"][0]["logprobs"]["text_offset"][0], expected);
    expected += static_cast<int64_t>(tokenizer->decode(std::vector<int32_t>{id}).size());
  }
  EXPECT_EQ(expected, 7);
}

}  // namespace
}  // namespace weft
