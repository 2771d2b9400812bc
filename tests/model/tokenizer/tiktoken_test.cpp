#include "model/tokenizer/tiktoken.h"

#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;

constexpr size_t kGpt2Ranks = 50256;

// All bytes in their order, `words` from 256 on, and pairs of rare bytes up to GPT-2's number.
std::vector<std::string> ranked(const std::vector<std::string>& words) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.insert(tokens.end(), words.begin(), words.end());
  for (int i = 0; tokens.size() < kGpt2Ranks; ++i) {
    tokens.push_back({'\x01', static_cast<char>(i % 256), static_cast<char>(i / 256)});
  }
  return tokens;
}

std::string lines_of(const std::vector<std::string>& tokens) {
  std::string text;
  for (size_t rank = 0; rank < tokens.size(); ++rank) {
    text += base64_encode(tokens[rank]) + " " + std::to_string(rank) + "\n";
  }
  return text;
}

class Tiktoken : public testing::Test {
 protected:
  std::unique_ptr<Tokenizer> load(const std::string& text, const Json& config = nullptr) {
    write_file_atomically(dir_ / "vocab.tiktoken", text);
    if (!config.is_null()) {
      write_file_atomically(dir_ / "tokenizer_config.json", dump_json(config));
    }
    return Tokenizer::load(dir_.path());
  }

  std::string error_of(const std::string& text, const Json& config = nullptr) {
    return test::input_error([&] { load(text, config); });
  }

  test::TempDir dir_;
};

TEST_F(Tiktoken, MergesTheLowestRankAndTheLeftmostOfEquals) {
  // 256 "aa", 257 "aaa", 258 "ab", 259 "bb": of three a the first two are merged, then all; of
  // "aab" the lower rank wins although "ab" is a token.
  const auto tokenizer = load(lines_of(ranked({"aa", "aaa", "ab", "bb"})));
  EXPECT_EQ(tokenizer->encode("aaaa"), (Ids{256, 256}));
  EXPECT_EQ(tokenizer->encode("aaaaa"), (Ids{256, 257}));
  EXPECT_EQ(tokenizer->encode("aab"), (Ids{256, 'b'}));
  EXPECT_EQ(tokenizer->encode("abb"), (Ids{258, 'b'}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("abba aaa")), "abba aaa");
  EXPECT_EQ(tokenizer->vocab_size(), static_cast<int32_t>(kGpt2Ranks));
}

// "xyz" is reached by no merge, as neither "xy" nor "yz" is a token.
TEST_F(Tiktoken, TakesAWholeWordThatIsAToken) {
  const auto tokenizer = load(lines_of(ranked({"xyz"})));
  EXPECT_EQ(tokenizer->encode("xyz"), (Ids{256}));
  EXPECT_EQ(tokenizer->encode("xyzx"), (Ids{'x', 'y', 'z', 'x'}));
}

TEST_F(Tiktoken, TakesAddedTokensAndBosFromTheConfig) {
  const Json config = {
      {"add_bos_token", true},
      {"bos_token", "<s>"},
      {"added_tokens_decoder",
       {{"50256", {{"content", "<s>"}, {"special", true}}}, {"50257", {{"content", "<think>"}}}}}};
  const auto tokenizer = load(lines_of(ranked({})), config);
  EXPECT_EQ(tokenizer->encode("a<think>"), (Ids{50256, 'a', 50257}));
  EXPECT_EQ(tokenizer->decode(Ids{50256, 'a', 50257}, true), "a<think>");
  Json unknown = config;
  unknown["bos_token"] = "<none>";
  EXPECT_NE(error_of(lines_of(ranked({})), unknown).find("<none>"), std::string::npos);
}

TEST_F(Tiktoken, RefusesWhatItCannotKnow) {
  auto few = ranked({});
  few.pop_back();
  EXPECT_NE(error_of(lines_of(few)).find("got 50255"), std::string::npos);
  auto twice = ranked({});
  twice.back() = "a";
  EXPECT_NE(error_of(lines_of(twice)).find("ranks 97 and 50255"), std::string::npos);
  auto no_byte = ranked({});
  no_byte[65] = "no such byte";
  EXPECT_NE(error_of(lines_of(no_byte)).find("byte 65"), std::string::npos);
  EXPECT_NE(error_of("YQ== 0\nYg== 2\n").find(":2: expected rank 1"), std::string::npos);
  for (const char* broken : {"YQ== 0\nY!== 1\n", "YQ== 0\nYg==\n", "YQ== 0\nYg== 1x\n"}) {
    EXPECT_NE(error_of(broken).find(":2: expected a token in base64"), std::string::npos);
  }
}

}  // namespace
}  // namespace weft
