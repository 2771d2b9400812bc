#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "tests/model/tokenizer/tiny_tokenizer.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;
using test::load_tokenizer;
using test::tiny_tokenizer_json;

Json added(const std::string& content, bool special, Json flags = Json::object()) {
  flags["content"] = content;
  flags["special"] = special;
  flags["normalized"] = false;
  return flags;
}

std::string load_error(const Json& json) {
  const test::TempDir dir;
  return test::input_error([&] { load_tokenizer(dir, json); });
}

TEST(JsonTokenizer, ReadsBothEncodingsOfMerges) {
  const test::TempDir dir;
  Json json = tiny_tokenizer_json({"h i", "\u0120 hi"});
  const Ids expected = load_tokenizer(dir, json)->encode("hi hi");
  EXPECT_EQ(expected, (Ids{256, 257}));
  json["model"]["merges"] = Json::parse(R"([["h", "i"], ["\u0120", "hi"]])");
  EXPECT_EQ(load_tokenizer(dir, json)->encode("hi hi"), expected);
}

TEST(JsonTokenizer, TakesWholeWordsWhereMergesAreIgnored) {
  const test::TempDir dir;
  Json json = tiny_tokenizer_json({"a b"});
  json["model"]["vocab"]["xyz"] = 400;
  EXPECT_EQ(load_tokenizer(dir, json)->encode("xyz"), (Ids{'x', 'y', 'z'}));
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(load_tokenizer(dir, json)->encode("xyz"), (Ids{400}));
}

TEST(JsonTokenizer, PrefersTheLongestOfTheLeftmostAddedTokens) {
  const test::TempDir dir;
  const auto tokenizer = load_tokenizer(
      dir, tiny_tokenizer_json({}, {added("<a", true), added("<a>", true), added("a>b", true)}));
  EXPECT_EQ(tokenizer->encode("<a>b"), (Ids{257, 'b'}));
  EXPECT_EQ(tokenizer->encode("xa>b"), (Ids{'x', 258}));
}

TEST(JsonTokenizer, TreatsTheTextOfSpecialTokensAsTextWhenAsked) {
  const test::TempDir dir;
  const auto tokenizer =
      load_tokenizer(dir, tiny_tokenizer_json({}, {added("<s>", true), added("<t>", false)}));
  EXPECT_EQ(tokenizer->encode("<s><t>", true, false), (Ids{'<', 's', '>', 257}));
}

TEST(JsonTokenizer, HonoursStripAndSingleWord) {
  const test::TempDir dir;
  const auto tokenizer = load_tokenizer(
      dir, tiny_tokenizer_json({}, {added("<m>", true, {{"lstrip", true}, {"rstrip", true}}),
                                    added("in", false, {{"single_word", true}})}));
  EXPECT_EQ(tokenizer->encode("a \n<m>\t b"), (Ids{'a', 256, 'b'}));
  EXPECT_EQ(tokenizer->encode("in"), (Ids{257}));
  EXPECT_EQ(tokenizer->encode("\u00E9in").size(), 4u);
}

TEST(JsonTokenizer, HidesOnlySpecialTokens) {
  const test::TempDir dir;
  const auto tokenizer =
      load_tokenizer(dir, tiny_tokenizer_json({}, {added("<s>", true), added("<think>", false)}));
  const Ids ids = {256, 'h', 'i', 257};
  EXPECT_EQ(tokenizer->decode(ids), "<s>hi<think>");
  EXPECT_EQ(tokenizer->decode(ids, true), "hi<think>");
  EXPECT_TRUE(tokenizer->is_special(256));
  EXPECT_FALSE(tokenizer->is_special(257));
}

TEST(JsonTokenizer, AddsWhatTheTemplateSays) {
  const test::TempDir dir;
  Json json = tiny_tokenizer_json({}, {added("<s>", true), added("</s>", true)});
  json["post_processor"] = Json::parse(
      R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing",
          "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A"}},
                     {"SpecialToken": {"id": "</s>", "type_id": 0}}],
          "special_tokens": {"<s>": {"ids": [256]}, "</s>": {"ids": [257]}}}]})");
  const auto tokenizer = load_tokenizer(dir, json);
  EXPECT_EQ(tokenizer->encode("a"), (Ids{256, 'a', 257}));
  EXPECT_EQ(tokenizer->encode("a", false), (Ids{'a'}));
}

TEST(JsonTokenizer, NormalisesOnlyBetweenAddedTokens) {
  const test::TempDir dir;
  Json json = tiny_tokenizer_json({}, {added("e\u0301!", true)});
  json["normalizer"] = {{"type", "NFC"}};
  const auto tokenizer = load_tokenizer(dir, json);
  EXPECT_EQ(tokenizer->encode("e\u0301e\u0301!"), (Ids{0xC3, 0xA9, 256}));
}

TEST(JsonTokenizer, CutsDigitsOneByOne) {
  const test::TempDir dir;
  Json json = tiny_tokenizer_json({"1 2", "\u0120 1"});
  json["pre_tokenizer"] = Json::parse(
      R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
          {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]})");
  EXPECT_EQ(load_tokenizer(dir, json)->encode("a 12"), (Ids{'a', ' ', '1', '2'}));
}

TEST(JsonTokenizer, ReplacesInvalidUtf8) {
  const test::TempDir dir;
  const auto tokenizer = load_tokenizer(dir, tiny_tokenizer_json({}));
  EXPECT_EQ(tokenizer->encode("\xFF"), (Ids{0xEF, 0xBF, 0xBD}));
  EXPECT_EQ(tokenizer->decode(Ids{'a', 0xE2, 0x82, 'b', 9999, -1}), "a\uFFFDb");
}

TEST(JsonTokenizer, MayBeSharedByThreads) {
  const test::TempDir dir;
  const auto tokenizer = load_tokenizer(dir, tiny_tokenizer_json({"a b", "ab ab"}));
  const Ids expected = tokenizer->encode("abab ab abab");
  std::vector<std::thread> threads;
  std::atomic<int> equal = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) equal += tokenizer->encode("abab ab abab") == expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(equal, 800);
}

TEST(JsonTokenizer, NamesUnknownComponents) {
  const Json good = tiny_tokenizer_json({"a b"});
  const std::vector<std::pair<const char*, Json>> cases = {
      {"normalizer", {{"type", "StripAccents"}}},
      {"pre_tokenizer", {{"type", "Punctuation"}}},
      {"post_processor", {{"type", "BertProcessing"}}},
      {"decoder", {{"type", "WordPiece"}}},
  };
  for (const auto& [key, value] : cases) {
    Json json = good;
    json[key] = value;
    const std::string message = load_error(json);
    EXPECT_NE(message.find(value["type"].get<std::string>()), std::string::npos) << message;
    EXPECT_NE(message.find(key), std::string::npos) << message;
  }
  Json unigram = good;
  unigram["model"]["type"] = "Unigram";
  EXPECT_NE(load_error(unigram).find("Unigram"), std::string::npos);
}

TEST(JsonTokenizer, RefusesBrokenFiles) {
  Json json = tiny_tokenizer_json({"a b"});
  json["model"]["merges"] = {"a q9"};
  EXPECT_NE(load_error(json).find("merges[0]"), std::string::npos);
  json = tiny_tokenizer_json({});
  json["model"]["vocab"]["x"] = -4;
  EXPECT_NE(load_error(json).find("got -4"), std::string::npos);
  const test::TempDir dir;
  write_file_atomically(dir / "tokenizer.json", "{\"model\": ");
  EXPECT_THROW(Tokenizer::load(dir.path()), InputError);
  EXPECT_THROW(Tokenizer::load(dir / "tokenizer.bin"), InputError);
}

}  // namespace
}  // namespace weft
