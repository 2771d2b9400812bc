#include "sandbox/static_facts.h"

#include <gtest/gtest.h>

#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

StaticFacts facts(const std::string& code) {
  return PythonAnalyser(test::shared_sandbox()).facts(code);
}

TEST(PythonAnalyser, CountsNodesCallsAndDepthWithoutContexts) {
  // Module, Assign, Name x, Call, Name f, Constant 1.
  const auto f = facts("x = f(1)\n");
  EXPECT_TRUE(f.parses);
  EXPECT_EQ(f.num_nodes, 6);
  EXPECT_EQ(f.num_calls, 1);
  EXPECT_EQ(f.depth, 4);
  EXPECT_EQ(f.code_bytes, 9);
  EXPECT_EQ(f.names_called, std::vector<std::string>{"f"});
}

TEST(PythonAnalyser, DistinctNodesTellCalledNamesAndPromptsApart) {
  const auto same = facts("f(1)\nf(2)\n");
  const auto other = facts("f(1)\ng(2)\n");
  EXPECT_EQ(other.num_distinct_nodes, same.num_distinct_nodes + 1);
  const auto one =
      facts("a = 'Write the best program you can'\nb = 'write the BEST  program you can'\n");
  const auto two =
      facts("a = 'Write the best program you can'\nb = 'Criticise the program you see'\n");
  EXPECT_EQ(two.num_distinct_nodes, one.num_distinct_nodes + 1);
}

TEST(PythonAnalyser, FindsWorkflowImportsAndCatchAll) {
  const auto f = facts(
      "import os.path, re\nfrom typing import List\nclass Workflow:\n"
      "    async def __call__(self, p):\n        try:\n            return p\n        except "
      "(ValueError, "
      "Exception):\n            pass\n");
  EXPECT_EQ(f.imports, (std::vector<std::string>{"os.path", "re", "typing"}));
  EXPECT_TRUE(f.has_catch_all && f.has_workflow_class && f.has_async_call);
  const auto g =
      facts("class Workflow:\n    def __call__(self): pass\ntry: pass\nexcept ValueError: pass\n");
  EXPECT_TRUE(g.has_workflow_class);
  EXPECT_FALSE(g.has_async_call || g.has_catch_all);
  EXPECT_TRUE(facts("try: pass\nexcept: pass\n").has_catch_all);
}

TEST(PythonAnalyser, HashIgnoresLayoutCommentsAndDocstringsOnly) {
  const auto a = facts("def f(x):\n    'doc'\n    return x + 1  # why\n");
  const auto b = facts("def f( x ):\n\n    return (x+1)\n");
  const auto c = facts("def f(y):\n    return y + 1\n");
  EXPECT_EQ(a.ast_hash, b.ast_hash);
  EXPECT_NE(a.ast_hash, c.ast_hash);
  EXPECT_EQ(a.num_nodes, b.num_nodes);
}

TEST(PythonAnalyser, NamesSyntaxErrorsWithTheirLine) {
  const auto f = facts("x = 1\ndef f(:\n");
  EXPECT_FALSE(f.parses);
  EXPECT_EQ(f.syntax_error, "invalid syntax (line 2)");
  EXPECT_FALSE(facts(std::string("a\0b", 3)).parses);
}

TEST(PythonAnalyser, DoesNotRunTheCodeAndSurvivesParserBombs) {
  EXPECT_TRUE(facts("import os\nos._exit(0)\nwhile True: pass\n").parses);
  EXPECT_FALSE(facts(std::string(100000, '(')).parses);
  EXPECT_FALSE(facts(std::string(100000, '-') + "1").parses);
}

}  // namespace
}  // namespace weft
