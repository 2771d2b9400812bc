#include "sandbox/trusted/tool_box.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "tests/sandbox/jail_support.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

using testing::HasSubstr;

class ToolFile : public testing::Test {
 protected:
  ToolBox box(const std::string& source) {
    write_file_atomically(options_.file, source);
    return {test::shared_sandbox(), options_};
  }
  std::string error_of(const std::string& source) {
    return test::input_error([&] { box(source); });
  }
  static ToolReply call(const ToolBox& box, ToolBox::Call call) {
    std::promise<ToolReply> promise;
    box.call(std::move(call), [&](ToolReply reply) { promise.set_value(std::move(reply)); });
    return promise.get_future().get();
  }

  test::TempDir folder_;
  ToolOptions options_{.file = (folder_ / "mine.py").string()};
};

TEST_F(ToolFile, OffersItsPublicFunctionsWithSignatureAndDocstring) {
  const ToolBox tools =
      box("import re\nfrom os.path import join\nLIMIT = 3\n"
          "def search(query, k=LIMIT):\n    \"\"\"Finds notes.\n\n    The best first.\n    \"\"\"\n"
          "def _rank(note):\n    return 0\n"
          "def area(w: float, *, h: float = 1.0) -> float:\n    return w * h\n"
          "class Table:\n    pass\n");
  EXPECT_EQ(tools.text(),
            "- search(query, k=3): Finds notes. The best first.\n"
            "- area(w: float, *, h: float = 1.0) -> float\n");
  EXPECT_TRUE(tools.has("area"));
  for (const char* other : {"_rank", "join", "Table", "weft_list_tools_", "re"}) {
    EXPECT_FALSE(tools.has(other)) << other;
  }
}

TEST_F(ToolFile, LongTextsAreCutBetweenCharacters) {
  const ToolBox tools =
      box("def f():\n    pass\n"
          "f.__doc__ = '\\u4e2d' * 400\n"
          "def bad():\n    raise ValueError('\\u4e2d' * 400)\n");
  EXPECT_TRUE(is_valid_utf8(tools.text())) << tools.text();
  EXPECT_LT(tools.text().size(), 600u);
  const ToolReply reply = call(tools, {"bad", {}, {}, nullptr, nullptr});
  EXPECT_THAT(reply.fault, HasSubstr("\u4e2d"));
  EXPECT_TRUE(is_valid_utf8(reply.fault)) << reply.fault;
}

TEST_F(ToolFile, OffersThoseAloneThatToolsNames) {
  const ToolBox tools =
      box("def helper(x):\n    return x\ndef twice(x):\n    return helper(x) * 2\n"
          "def thrice(x):\n    return x * 3\nTOOLS = [thrice, 'twice']\n");
  EXPECT_EQ(tools.text(), "- thrice(x)\n- twice(x)\n");
}

TEST_F(ToolFile, IsRefusedByTheNameOfItsFault) {
  const std::pair<const char*, const char*> faults[] = {
      {"x = 1\n", "it defines no public function"},
      {"def exec_code(x):\n    return 1\n", "workflows have a exec_code already"},
      {"def Workflow(x):\n    return 1\n", "workflows have a Workflow already"},
      {"def open(x):\n    return 1\n", "open is a name of Python's own"},
      {"async def ask(x):\n    return 1\n", "ask is a coroutine or generator"},
      {"def f(x):\n    return 1\nTOOLS = ['g']\n", "TOOLS names g"},
      {"def f(x)\n    return 1\n", "ERROR(SyntaxError) expected ':' (line 1)"},
      {"import no_such_module\n", "ERROR(ModuleNotFoundError)"}};
  for (const auto& [source, said] : faults) {
    const std::string error = error_of(source);
    EXPECT_THAT(error, HasSubstr(said)) << source;
    EXPECT_THAT(error, HasSubstr("tools.file: " + options_.file)) << source;
    EXPECT_EQ(error.find('\n'), std::string::npos) << source;
  }
  options_.file = "/nowhere/mine.py";
  EXPECT_THROW(ToolBox(test::shared_sandbox(), options_), InputError);
}

TEST_F(ToolFile, CallsTakeAndGivePlainValues) {
  const ToolBox tools = box(
      "def table(rows, by='n'):\n    return {by: sorted(rows), 'pair': (1, 2.5, None, b'x')}\n");
  PythonValue keywords;
  keywords.kind = PythonValue::Kind::kDict;
  keywords.items = {PythonValue::str("by"), PythonValue::str("m")};
  const auto rows = PythonValue::list({PythonValue::integer(3), PythonValue::integer(1)});
  const ToolReply reply = call(tools, {"table", {rows}, keywords, nullptr, nullptr});
  ASSERT_TRUE(reply.value) << reply.fault << reply.infra;
  EXPECT_EQ(python_literal(*reply.value), "{'m': [1, 3], 'pair': (1, 2.5, None, b'x')}");
}

TEST_F(ToolFile, AFaultIsOneLine) {
  options_.wall_ms = 500;
  const ToolBox tools =
      box("def bad(how):\n"
          "    if how == 'raises':\n        raise ValueError('two\\nlines')\n"
          "    if how == 'hangs':\n        import time\n        time.sleep(60)\n"
          "    if how == 'spins':\n        while True:\n            pass\n"
          "    if how == 'leaves':\n        import os\n        os._exit(3)\n"
          "    return object()\n");
  const std::pair<const char*, const char*> faults[] = {{"raises", "bad: ERROR(ValueError)"},
                                                        {"hangs", "bad: TIME_WALL"},
                                                        {"spins", "bad: TIME_"},
                                                        {"leaves", "bad: EXIT(3)"},
                                                        {"object", "bad: UNSERIALISABLE"}};
  for (const auto& [how, said] : faults) {
    const ToolReply reply = call(tools, {"bad", {PythonValue::str(how)}, {}, nullptr, nullptr});
    EXPECT_FALSE(reply.value) << how;
    EXPECT_THAT(reply.fault, HasSubstr(said)) << how;
    EXPECT_EQ(reply.fault.find('\n'), std::string::npos) << how;
    EXPECT_EQ(reply.infra, "") << how;
    EXPECT_EQ(reply.met_time_limit, how == std::string("hangs") || how == std::string("spins"));
  }
}

}  // namespace
}  // namespace weft
