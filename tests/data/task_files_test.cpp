#include "data/task_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

using testing::HasSubstr;

TaskFiles parse(const Json& files) { return parse_task_files({{"files", files}}, "t:1"); }

std::string error_of(const Json& files) {
  return test::input_error([&] { parse(files); });
}

TEST(TaskFiles, AreTextsOrBytes) {
  const TaskFiles files = parse({{"b.bin", {{"$bytes", "AP8K"}}}, {"a-1_X.csv", "é,1\n"}});
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ(files->at(0).name, "a-1_X.csv");
  EXPECT_EQ(files->at(0).content, "é,1\n");
  EXPECT_EQ(files->at(1).content, std::string("\0\xFF\n", 3));
  EXPECT_EQ(list_files(files), "a-1_X.csv (5 bytes), b.bin (3 bytes)");
  EXPECT_EQ(folder_bytes(files), 2u * 4096);
}

TEST(TaskFiles, AreNoneWhereTheFieldSaysNothing) {
  EXPECT_EQ(parse_task_files(Json::object(), "t"), nullptr);
  for (const Json& nothing : {Json(), Json::object(), Json::array(), Json("")}) {
    EXPECT_EQ(parse(nothing), nullptr) << nothing;
  }
  EXPECT_EQ(list_files(nullptr), "");
}

TEST(TaskFiles, HaveNamesThatLeadNowhereElse) {
  for (const char* name :
       {"", ".", "..", "../../x", "/etc/passwd", "a/b", "a/../b", ".hidden", "a\\b", "a b", "a\nb",
        "C:x", "~x", "ä", "a\u202Etxt", "-> /etc/passwd", "$(x)", "*"}) {
    EXPECT_THAT(error_of({{name, "x"}}), HasSubstr("t:1: field \"files\": expected names of"))
        << name;
  }
  EXPECT_THAT(error_of({{std::string("a\0b", 3), "x"}}), HasSubstr("expected names of"));
  EXPECT_EQ(error_of({{std::string(100, 'a'), "x"}}), "no error");
  EXPECT_THAT(error_of({{std::string(101, 'a'), "x"}}), HasSubstr("expected names of 1 to 100"));
}

TEST(TaskFiles, HaveCaps) {
  Json many = Json::object();
  for (int i = 0; i < 1000; ++i) many["f" + std::to_string(i)] = "";
  EXPECT_EQ(error_of(many), "t:1: field \"files\": expected at most 64 files, got 1000");
  const std::string half(4 << 20, 'x');
  EXPECT_EQ(error_of({{"a", half}, {"b", half}}), "no error");
  EXPECT_EQ(error_of({{"a", half}, {"b", half + "x"}}),
            "t:1: field \"files\": expected at most 8388608 bytes in all, got 8388609");
}

TEST(TaskFiles, RefuseWhatIsNoContent) {
  EXPECT_EQ(error_of({{"a", 1}}),
            "t:1: field \"files\": \"a\": expected a text or {\"$bytes\": base64}, got 1");
  for (const Json& wrong : {Json{{"$bytes", 3}}, Json{{"$bytes", "not base64!"}}, Json{{"x", "y"}},
                            Json::array({"a"}), Json()}) {
    EXPECT_THAT(error_of({{"a", wrong}}), HasSubstr("\"a\": expected a text or")) << wrong;
  }
  EXPECT_THAT(error_of(Json::array({"a.txt"})), HasSubstr("field \"files\": expected an object"));
}

}  // namespace
}  // namespace weft
