#include "model/tokenizer/scanner.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

std::vector<std::string> pieces(const Scanner& scanner, std::string_view text) {
  std::vector<Span> spans;
  scanner.scan(text, spans);
  std::vector<std::string> out;
  for (const Span& span : spans) {
    out.emplace_back(text.substr(span.begin, span.end - span.begin));
  }
  return out;
}

using Strings = std::vector<std::string>;

TEST(Scanner, GivesTheLastSpaceBackToTheWord) {
  const auto gpt2 = make_scanner(std::string(kGpt2Regex), "");
  EXPECT_EQ(pieces(*gpt2, "a   b"), (Strings{"a", "  ", " b"}));
  EXPECT_EQ(pieces(*gpt2, "a \n b  "), (Strings{"a", " \n", " b", "  "}));
}

TEST(Scanner, TakesUnicodeLongSAsAContraction) {
  const auto qwen2 = make_scanner(std::string(kQwen2Regex), "");
  EXPECT_EQ(pieces(*qwen2, "I'LLx'\u017Fy"), (Strings{"I", "'LL", "x", "'\u017F", "y"}));
  const auto gpt2 = make_scanner(std::string(kGpt2Regex), "");
  EXPECT_EQ(pieces(*gpt2, "I'LL"), (Strings{"I", "'", "LL"}));
}

TEST(Scanner, CutsDigitsAsTheModelDoes) {
  EXPECT_EQ(pieces(*make_scanner(std::string(kQwen2Regex), ""), "1234"),
            (Strings{"1", "2", "3", "4"}));
  EXPECT_EQ(pieces(*make_scanner(std::string(kLlama3Regex), ""), "1234"), (Strings{"123", "4"}));
  EXPECT_EQ(pieces(*make_scanner(std::string(kGpt2Regex), ""), " 1234"), (Strings{" 1234"}));
}

std::string random_text(Rng& rng) {
  const std::vector<std::string> parts = {
      "a",       "Zb", "\u00E9", "\u6211",       "\u0301",     "1",      "23", "\u2460", " ",
      "  ",      "\t", "\n",     "\r\n",         "\u00A0",     "\u3000", "'",  "'s",     "'LL",
      "'\u017F", ".",  "!?",     "\u4E00\u3002", "\U0001F601", "\u180E"};
  std::string text;
  for (uint64_t n = rng.below(12); n > 0; --n) text += parts[rng.below(parts.size())];
  return text;
}

// The hand-written matchers against the regular expressions that they stand for.
TEST(Scanner, HandWrittenMatchersEqualTheirExpressions) {
  Rng rng(7);
  for (const std::string_view regex : {kGpt2Regex, kQwen2Regex, kLlama3Regex}) {
    const auto hand = make_scanner(std::string(regex), "");
    const auto pcre2 = make_pcre2_scanner(std::string(regex), "");
    for (int i = 0; i < 4000; ++i) {
      const std::string text = random_text(rng);
      ASSERT_EQ(pieces(*hand, text), pieces(*pcre2, text)) << text;
    }
  }
}

TEST(Scanner, KeepsTheGapsBetweenMatches) {
  std::vector<Span> spans;
  make_scanner("b+", "")->scan("abba", spans);
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_FALSE(spans[0].matched);
  EXPECT_TRUE(spans[1].matched);
  EXPECT_EQ(spans[1].end, 3u);
}

TEST(Scanner, NamesABrokenExpression) {
  try {
    make_scanner("(a", "tokenizer.json: pre_tokenizer.pattern");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("pre_tokenizer.pattern"), std::string::npos);
  }
}

}  // namespace
}  // namespace weft
