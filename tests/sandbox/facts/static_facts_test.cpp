#include "sandbox/facts/static_facts.h"

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
  EXPECT_EQ(f.import_lines, (std::vector<int>{1, 1, 2}));
  ASSERT_EQ(f.refusals.size(), 1u);
  EXPECT_EQ(f.refusals[0].line, 7);
  EXPECT_EQ(f.refusals[0].what, "a handler catches every exception");
  EXPECT_TRUE(f.has_workflow_class && f.has_async_call);
  EXPECT_FALSE(f.has_contract_init);
  const auto g =
      facts("class Workflow:\n    def __call__(self): pass\ntry: pass\nexcept ValueError: pass\n");
  EXPECT_TRUE(g.has_workflow_class);
  EXPECT_FALSE(g.has_async_call || g.call_returns);
  EXPECT_TRUE(g.refusals.empty());
}

TEST(PythonAnalyser, TakesTheLastWorkflowForTheOneThatRuns) {
  const auto f =
      facts("class Workflow:\n    async def __call__(self): pass\nclass Workflow:\n    x = 1\n");
  EXPECT_TRUE(f.has_workflow_class);
  EXPECT_FALSE(f.has_async_call);
}

std::string init_of(const std::string& parameters) {
  return "class Workflow:\n    def __init__(" + parameters + "): pass\n";
}

TEST(PythonAnalyser, ReadsTheConstructorOfWorkflowItself) {
  EXPECT_TRUE(facts(init_of("self, name, llm_config, dataset")).has_contract_init);
  EXPECT_TRUE(facts(init_of("\n self,\n name: str,\n llm_config: dict = {},\n dataset: "
                            "'a, b' = 'x'\n"))
                  .has_contract_init);
  for (const char* parameters :
       {"self, name, dataset", "self, names, llm_config, dataset",
        "self, name, llm_config, dataset, extra", "self, name, llm_config, dataset, *rest",
        "self, name, llm_config, dataset, /"}) {
    EXPECT_FALSE(facts(init_of(parameters)).has_contract_init) << parameters;
  }
  EXPECT_FALSE(facts("class Workflow:\n    x = 1\nclass Other:\n    def __init__(self, name, "
                     "llm_config, dataset): pass\n")
                   .has_contract_init)
      << "another class's";
  EXPECT_FALSE(facts("class Workflow:\n    '''def __init__(self, name, llm_config, dataset):'''\n")
                   .has_contract_init);
}

bool returns(const std::string& body) {
  const auto f =
      facts("class Workflow:\n    async def __call__(self, problem):\n        " + body + "\n");
  EXPECT_TRUE(f.parses) << body;
  return f.call_returns;
}

TEST(PythonAnalyser, KnowsWhereACallEnds) {
  for (const char* body : {"return 1", "return (\n            code,\n            cost)",
                           "return 1;", "raise E", "return 1\n        x = 2",
                           "if x:\n            return 1\n        else:\n            raise E",
                           "while True:\n            x", "with x:\n            return 1",
                           "try:\n            return 1\n        except E:\n            raise",
                           "match x:\n            case 1: return 1\n            case _: return 2",
                           "return '''\n        # Step 2: text\n'''"}) {
    EXPECT_TRUE(returns(body)) << body;
  }
  for (const char* body :
       {"x = 1", "x = '''\n        return 1\n'''", "pass  # return 1",
        "if x:\n            return 1", "def f():\n            return 1",
        "for i in x:\n            return i", "while True:\n            if x: break",
        "x = lambda: 1", "try:\n            return 1\n        except E:\n            pass",
        "match x:\n            case 1: return 1"}) {
    EXPECT_FALSE(returns(body)) << body;
  }
  EXPECT_FALSE(
      facts("class Workflow:\n    async def __call__(self):\n        x = (\n").call_returns);
}

// Nodes are counted wherever they stand: code moved into a lambda costs what it did.
TEST(PythonAnalyser, CountsWhatLambdasAndFormattedStringsHold) {
  EXPECT_GE(facts("f = lambda x: g(x) + h(x)\n").num_nodes,
            facts("def f(x): return g(x) + h(x)\n").num_nodes - 1);
  EXPECT_EQ(facts("x = f'{g(1)}'\n").num_calls, 1);
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

TEST(PythonAnalyser, ListsStringsWithoutDocstrings) {
  const auto f = facts("\"\"\"doc\"\"\"\nx = f\"ab {y} cd\" + 'plain'\n# 'comment'\nz = 'plain'\n");
  EXPECT_EQ(f.strings, (std::vector<std::string>{" cd", "ab ", "plain"}));
}

/// "places/statements", or "none".
std::string compared(const std::string& before, const std::string& after) {
  const auto extent = PythonAnalyser(test::shared_sandbox()).compare(before, after);
  return extent ? std::to_string(extent->places) + "/" + std::to_string(extent->statements)
                : "none";
}

// One function of three statements, the middle one a loop.
std::string looped(const std::string& first, const std::string& head, const std::string& inner) {
  return "class W:\n    async def f(self):\n        " + first + "\n        for x in " + head +
         ":\n            a = 1\n            " + inner + "\n        return a\n";
}

TEST(PythonAnalyser, SaysInHowManyPlacesTwoProgramsDiffer) {
  const std::string parent = looped("y = 1", "range(3)", "b = 2");
  EXPECT_EQ(compared(parent, parent), "0/0");
  EXPECT_EQ(compared(parent, looped("y = 2", "range(3)", "b = 2")), "1/1");
  EXPECT_EQ(compared(parent, looped("y = 1", "range(4)", "b = 2")), "1/1");
  EXPECT_EQ(compared(parent, looped("y = 1", "range(3)", "b = 3")), "1/1");
  EXPECT_EQ(compared(parent, looped("y = 2", "range(3)", "b = 3")), "2/2");
  EXPECT_EQ(compared(parent, looped("y = 1\n        z = 2", "range(3)", "b = 2")), "1/1");
  EXPECT_EQ(compared(parent, looped("y = 2\n        z = 2\n        u = 2", "range(3)", "b = 2")),
            "1/3");
  EXPECT_EQ(compared(parent, "def g():\n    pass\n"), "1/1");
}

TEST(PythonAnalyser, ComparesWithoutCommentsDocstringsAndImports) {
  const std::string parent = looped("y = 1", "x", "b = 2");
  EXPECT_EQ(compared(parent, "import re\nfrom math import pi\n" + parent + "# end\n"), "0/0");
  EXPECT_EQ(compared(parent, "\"\"\"What it does.\"\"\"\n" + parent), "0/0");
  EXPECT_EQ(compared(parent, "x = ("), "none");
  EXPECT_EQ(compared("x = (", parent), "none");
}

TEST(PythonAnalyser, DoesNotRunTheCodeAndSurvivesParserBombs) {
  EXPECT_TRUE(facts("import os\nos._exit(0)\nwhile True: pass\n").parses);
  EXPECT_FALSE(facts(std::string(100000, '(')).parses);
  EXPECT_FALSE(facts(std::string(100000, '-') + "1").parses);
}

}  // namespace
}  // namespace weft
