#include <gtest/gtest.h>

#include "base/rng.h"
#include "model/tokenizer/unicode.h"
#include "tests/model/tokenizer/tiny_tokenizer.h"

namespace weft {
namespace {

TEST(StreamDecoder, HoldsHalfACharacterBack) {
  const test::TempDir dir;
  const auto tokenizer = test::load_tokenizer(dir, test::tiny_tokenizer_json({}));
  StreamDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.push(0x98), "");
  EXPECT_EQ(decoder.push(0x81), "\U0001F601");
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.flush(), "\uFFFD");
}

TEST(StreamDecoder, DoesNotHoldBytesThatCanNeverComplete) {
  const test::TempDir dir;
  const auto tokenizer = test::load_tokenizer(dir, test::tiny_tokenizer_json({}));
  StreamDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.push(0xFF), "\uFFFD");
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.push('a'), "\uFFFDa");
}

TEST(StreamDecoder, AddsUpToDecode) {
  const test::TempDir dir;
  const auto tokenizer = test::load_tokenizer(dir, test::tiny_tokenizer_json({"a b"}));
  Rng rng(11);
  for (int round = 0; round < 500; ++round) {
    std::vector<int32_t> ids;
    std::string text;
    StreamDecoder decoder(*tokenizer);
    for (uint64_t n = rng.below(30); n > 0; --n) {
      ids.push_back(static_cast<int32_t>(rng.below(2) ? rng.below(257) : 0x80 + rng.below(0x80)));
      const std::string piece = decoder.push(ids.back());
      ASSERT_TRUE(is_valid_utf8(piece));
      text += piece;
    }
    ASSERT_EQ(text + decoder.flush(), tokenizer->decode(ids));
  }
}

}  // namespace
}  // namespace weft
