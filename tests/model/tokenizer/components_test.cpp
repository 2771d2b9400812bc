// Every component of a tokenizer.json against the `tokenizers` package.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unicode.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;

const Json& fixture() {
  static const Json json = read_json_file(test::fixture("tokenizer_components.json"));
  return json;
}

std::unique_ptr<Tokenizer> tokenizer_with(const Json& changes) {
  const test::TempDir dir;
  Json json = fixture()["base"];
  json.update(changes);
  write_file_atomically(dir / "tokenizer.json", dump_json(json));
  return Tokenizer::load(dir.path());
}

std::string streamed(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text + decoder.flush();
}

TEST(TokenizerComponents, GiveTheIdsAndTextsOfHuggingFace) {
  const Json& cases = fixture()["cases"];
  ASSERT_GE(cases.size(), 35u);
  for (const auto& [name, one] : cases.items()) {
    const auto tokenizer = tokenizer_with(one["changes"]);
    for (size_t i = 0; i < one["rows"].size(); ++i) {
      const Json& row = one["rows"][i];
      const auto text = fixture()["texts"][i].get<std::string>();
      SCOPED_TRACE(name + ": " + text);
      const auto ids = row["ids"].get<Ids>();
      EXPECT_EQ(tokenizer->encode_to_length(text, true), ids);
      if (row.contains("plain")) {
        EXPECT_EQ(tokenizer->encode_to_length(text, false), row["plain"].get<Ids>());
      }
      if (!row.contains("decoded")) continue;
      EXPECT_EQ(tokenizer->decode(ids, false), row["decoded"].get<std::string>());
      EXPECT_EQ(tokenizer->decode(ids, true), row["shown"].get<std::string>());
      EXPECT_EQ(streamed(*tokenizer, ids, true), row["shown"].get<std::string>());
    }
  }
}

// As transformers: a model's prompt is neither cut nor filled.
TEST(TokenizerComponents, LengthsAreForWhoAsks) {
  const Json& cases = fixture()["cases"];
  const auto bare = tokenizer_with(Json::object());
  const auto limited = tokenizer_with(cases["truncated and padded"]["changes"]);
  EXPECT_EQ(limited->encode("Hello the world"), bare->encode("Hello the world"));
  EXPECT_EQ(limited->encode("a"), bare->encode("a"));
  EXPECT_NE(limited->encode_to_length("a", true), bare->encode("a"));
}

TEST(TokenizerComponents, LengthsThatCannotBeAreRefused) {
  const auto error = [](const char* key, const char* field, const Json& value) {
    const std::string name = key == std::string("padding") ? "padded" : "truncated";
    Json changes = fixture()["cases"][name]["changes"];
    changes[key][field] = value;
    return test::input_error([&] { tokenizer_with(changes); });
  };
  EXPECT_NE(error("truncation", "strategy", "OnlySecond").find("truncation.strategy"),
            std::string::npos);
  EXPECT_NE(error("truncation", "max_length", 1).find("expected an integer from 2, got 1"),
            std::string::npos);
  EXPECT_NE(error("truncation", "direction", "Up").find("truncation.direction"), std::string::npos);
  EXPECT_NE(error("truncation", "stride", 4).find("truncation.stride"), std::string::npos);
  EXPECT_NE(error("padding", "strategy", "Longest").find("padding.strategy"), std::string::npos);
}

// Of every character of Unicode.
TEST(TokenizerComponents, NormalFormsAreThoseOfHuggingFace) {
  using Form = std::string (*)(std::string_view);
  for (const auto& [name, form] :
       {std::pair<const char*, Form>("NFC", to_nfc), {"NFKC", to_nfkc}, {"Lowercase", to_lower}}) {
    const Json& blocks = fixture()["blocks"][name];
    ASSERT_EQ(blocks.size(), 0x110u);
    for (char32_t block = 0; block < 0x110; ++block) {
      std::string text;
      for (char32_t code = block * 4096; code < (block + 1) * 4096; ++code) {
        if (code >= 0xD800 && code < 0xE000) continue;
        std::string character;
        append_utf8(character, code);
        text += form(character) + "\n";
      }
      EXPECT_EQ(hex64(hash64(text)), blocks[block].get<std::string>())
          << name << " " << static_cast<int>(block);
    }
  }
}

}  // namespace
}  // namespace weft
