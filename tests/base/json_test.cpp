#include "base/json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/jsonl.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

TEST(Json, AllowsCommentsAndKeepsOrder) {
  const Json json = parse_json("{ // first\n \"b\": 1, /* then */ \"a\": 2}", "x");
  EXPECT_EQ(dump_json(json), R"({"b":1,"a":2})");
}

TEST(Json, NamesThePlaceOfASyntaxError) {
  const auto message = test::input_error([] { parse_json("{\"a\": }", "run.json"); });
  EXPECT_NE(message.find("run.json: not valid JSON"), std::string::npos) << message;
  EXPECT_NE(message.find("line 1, column 7"), std::string::npos) << message;
}

TEST(Json, NamesKeyExpectedAndGotOfAWrongField) {
  const Json json = {{"n", "three"}};
  EXPECT_EQ(test::input_error([&] { get_field<int64_t>(json, "n", "line 4"); }),
            "line 4: field \"n\": expected an integer, got a string (\"three\")");
  EXPECT_EQ(test::input_error([&] { get_field<std::string>(json, "id", "line 4"); }),
            "line 4: field \"id\": expected a string, got nothing");
}

TEST(Json, GivesTheFallbackForAbsentAndNullFields) {
  const Json json = {{"x", nullptr}};
  EXPECT_EQ(get_field_or<int>(json, "x", 5, "here"), 5);
  EXPECT_EQ(get_field_or<int>(json, "y", 6, "here"), 6);
}

TEST(Json, ARowHasEachKeyOnceAndNoNulByte) {
  const Json row = parse_json_row(R"({"a": {"b": 1}, "c": [{"b": 2}, {"b": 3}]})", "f:1");
  EXPECT_EQ(dump_json(row), R"({"a":{"b":1},"c":[{"b":2},{"b":3}]})");
  const auto error = [](const std::string& text) {
    return test::input_error([&] { parse_json_row(text, "f:1"); });
  };
  EXPECT_EQ(error(R"({"a": 1, "b": [{"c": 1, "c": 1}]})"),
            "f:1: expected field \"c\" once in an object, got it twice");
  EXPECT_NE(error(std::string("{\"a\": 1}\0{", 10)).find("NUL byte"), std::string::npos);
  EXPECT_NE(error("{\"a\": ").find("f:1: not valid JSON"), std::string::npos);
}

TEST(Json, ARowIsBoundedInDepthAndFields) {
  const auto error = [](const std::string& text) {
    return test::input_error([&] { parse_json_row(text, "f:1"); });
  };
  EXPECT_EQ(error(std::string(200, '[') + std::string(200, ']')), "no error");
  EXPECT_EQ(error(std::string(5'000'000, '[')), "f:1: expected at most 256 nested values");
  std::string many = "{";
  for (int i = 0; i < 100'000; ++i) many += fmt::format("{}\"{}\":0", i > 0 ? "," : "", i);
  EXPECT_EQ(error(many + "}"), "f:1: expected at most 4096 fields in an object");
}

TEST(Json, ReplacesInvalidUtf8WhenWriting) {
  EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xEF\xBF\xBD\"");
}

TEST(Jsonl, ReportsABadLineWithItsNumberAndGoesOn) {
  test::TempDir dir;
  std::ofstream(dir / "x.jsonl") << "{\"a\":1}\n\n{oops\n{\"a\":2}\n";
  JsonlReader reader(dir / "x.jsonl");
  JsonlLine line;
  ASSERT_TRUE(reader.next(line));
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line.number, 3);
  EXPECT_NE(line.error.find("x.jsonl:3"), std::string::npos) << line.error;
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line.value["a"], 2);
  EXPECT_FALSE(reader.next(line));
}

TEST(Jsonl, AFieldThatARowHasTwiceIsRefused) {
  test::TempDir dir;
  std::ofstream(dir / "x.jsonl") << "{\"a\":1,\"b\":{\"a\":2}}\n{\"a\":1,\"a\":2}\n";
  JsonlReader reader(dir / "x.jsonl");
  JsonlLine line;
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line.error, "");
  ASSERT_TRUE(reader.next(line));
  EXPECT_NE(line.error.find("x.jsonl:2: expected field \"a\" once"), std::string::npos)
      << line.error;
}

TEST(Jsonl, ALineThatIsTooLongIsRefusedAndTheNextOneRead) {
  test::TempDir dir;
  const std::string fits(98, 'x');  // 100 bytes with its quotes
  std::ofstream(dir / "x.jsonl") << '"' << fits << "\"\n\"" << fits << "y\"\n{\"a\":2}\n";
  JsonlReader reader(dir / "x.jsonl", /*most_line_bytes=*/100);
  JsonlLine line;
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line.value, fits);
  ASSERT_TRUE(reader.next(line));
  EXPECT_NE(line.error.find("x.jsonl:2: expected a line of at most 100 bytes"), std::string::npos)
      << line.error;
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line.value["a"], 2);
  EXPECT_FALSE(reader.next(line));
}

TEST(Jsonl, LinesOfAnyLengthAreReadWhole) {
  test::TempDir dir;
  std::ofstream out(dir / "x.jsonl");
  const auto sizes = {0, 16'379, 16'380, 16'381, 16'382, 16'383, 32'764, 32'765, 32'766, 100'000};
  for (const int size : sizes) out << '"' << std::string(size_t(size), 'x') << "\"\r\n";
  out << "\"last\"" << std::flush;  // without an end of line
  JsonlReader reader(dir / "x.jsonl");
  JsonlLine line;
  for (const int size : sizes) {
    ASSERT_TRUE(reader.next(line));
    EXPECT_EQ(line.value, std::string(size_t(size), 'x')) << line.error;
  }
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line.value, "last");
  EXPECT_FALSE(reader.next(line));
}

TEST(Jsonl, AppendingDropsAHalfWrittenLastLine) {
  test::TempDir dir;
  std::ofstream(dir / "x.jsonl") << "{\"a\":1}\n{\"a\":2";
  JsonlWriter(dir / "x.jsonl", /*append=*/true).write({{"a", 3}});
  std::ifstream file(dir / "x.jsonl");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(text, "{\"a\":1}\n{\"a\":3}\n");
}

TEST(Jsonl, FailsWithAnErrorOnAFullDisk) {
  JsonlWriter writer("/dev/full");
  EXPECT_THROW(writer.write({{"a", 1}}), Error);
}

}  // namespace
}  // namespace weft
