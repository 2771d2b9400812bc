// What the static check refuses, by what means however disguised, and their honest twins.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/workflow/jail.h"
#include "workflow/meta_agent.h"

namespace weft {
namespace {

using test::jail;
using testing::HasSubstr;

/// A workflow with `top` before the class and `body` in __call__, from line 7 on when top is empty.
std::string workflow(const std::string& top, const std::string& body) {
  return top +
         "class Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
         "        self.llm = create_llm_instance(llm_config)\n\n"
         "    async def __call__(self, problem):\n        # Step 1: a\n" +
         body + "        return problem, 0.0\n";
}

std::string in_body(const std::string& statement) {
  std::string lines = "        ";
  for (const char c : statement) {
    lines += c;
    if (c == '\n') lines += "        ";
  }
  return workflow("", lines + "\n");
}

std::string problem_of(const std::string& code) {
  const Workflow checked = jail().agent.check(code);
  EXPECT_FALSE(checked.valid) << code;
  return checked.problem;
}

void expect_valid(const std::string& code) {
  const Workflow checked = jail().agent.check(code);
  EXPECT_TRUE(checked.valid) << checked.problem << "\n" << code;
}

TEST(StaticCheck, SaysWhatItFoundAndWhere) {
  EXPECT_EQ(problem_of(in_body("x = 1\nexec('x = 2')")), "line 8: exec is not allowed");
  EXPECT_EQ(problem_of(workflow("import json\nimport os\n", "")),
            "line 2: import of os is not allowed");
  EXPECT_EQ(problem_of(in_body("try:\n    x = 1\nexcept Exception:\n    x = 2")),
            "line 9: a handler catches every exception");
}

TEST(StaticCheck, RunsNoTextAsCode) {
  for (const char* statement :
       {"exec('x = 1')", "e = exec\ne('x = 1')", "x = (lambda e=eval: e('1'))()",
        "x = [eval][0]('1')", "x = list(map(eval, ['1']))", "x = {'run': exec}['run']('1')",
        "x = compile('1', 'f', 'eval')", "x = __import__('os')", "x = __builtins__['exec']",
        "x = f\"{eval('1')}\"", "@exec\ndef f(): pass", "def f(run=exec): run('1')",
        "global eval\neval = 1\neval('1')", "class A:\n    eval = 1\n    x = eval('1')",
        "if problem:\n    pass\nelif eval(problem):\n    pass", "assert exec('1') is None",
        "x = [i for i in eval(problem)]", "breakpoint()",
        "match problem:\n    case exec(): pass"}) {
    EXPECT_THAT(problem_of(in_body(statement)), HasSubstr("is not allowed")) << statement;
  }
  for (const char* top :
       {"from builtins import exec as e\n", "import builtins as b\nb.exec('1')\n",
        "import importlib\n", "import weft\nweft._run({}, '', '', '', '')\n",
        "from weft import _run\n", "import code\n", "import typing\ntyping.get_type_hints(print)\n",
        "from typing import ForwardRef\n", "import typing\nm = typing\nm.sys\n",
        "import typing\ntyping.sys.modules\n", "from typing import sys\n",
        "import asyncio\nasyncio.base_events.os\n", "import random\nrandom._os\n",
        "import functools\nfunctools.partial(exec, '1')()\n",
        "from math import exp as exec\nexec('1')\n", "def compile(x): pass\ncompile('1')\n"}) {
    EXPECT_THAT(problem_of(workflow(top, "")), HasSubstr("not allowed")) << top;
  }
}

TEST(StaticCheck, ReachesNoAttributeByAText) {
  for (const char* statement : {"x = getattr(self, problem)",
                                "setattr(self, 'a', 1)",
                                "delattr(self, 'llm')",
                                "x = vars(self)",
                                "x = globals()['a']",
                                "x = locals()",
                                "x = self.__dict__['llm']",
                                "x = self.__getattribute__('llm')",
                                "x = self.__class__",
                                "x = Workflow.__subclasses__()",
                                "x = type(self).__mro__",
                                "x = ValueError.mro()",
                                "x = print.__self__",
                                "x = (i for i in '1').gi_frame.f_builtins['exec']",
                                "g = getattr\nx = g(self, 'llm')",
                                "x = problem.eval('1')",
                                "x = type('A', (), {})",
                                "t = type\nx = t('A', (), {})",
                                "class A(metaclass=problem): pass",
                                "class A(type): pass",
                                "x = __class__"}) {
    EXPECT_THAT(problem_of(in_body(statement)), HasSubstr("not allowed")) << statement;
  }
  for (const char* top :
       {"from operator import attrgetter\n", "import operator\n", "import inspect\n",
        "import string\nstring.Formatter().get_field('a.b', (), {})\n"}) {
    EXPECT_THAT(problem_of(workflow(top, "")), HasSubstr("not allowed")) << top;
  }
}

TEST(StaticCheck, CatchesNoExceptionOfEveryKind) {
  for (const char* handler :
       {"except:", "except Exception as e:", "except BaseException:", "except (BaseException,):",
        "except (ValueError, (Exception,)):", "except* Exception:"}) {
    EXPECT_THAT(problem_of(in_body(std::string("try:\n    x = 1\n") + handler + "\n    pass")),
                HasSubstr("catches every exception"))
        << handler;
  }
  for (const char* handler :
       {"except type(ValueError()):", "except self.errors:", "except errors():",
        "except [ValueError][0]:", "except E:", "except (*many,):"}) {
    EXPECT_THAT(problem_of(in_body(std::string("E = type(problem)\ntry:\n    x = 1\n") + handler +
                                   "\n    pass")),
                HasSubstr("must name its exceptions"))
        << handler;
  }
  for (const char* statement :
       {"E = Exception\ntry:\n    x = 1\nexcept E:\n    pass", "x = (ValueError, Exception)",
        "with suppress(Exception):\n    x = 1", "def f(E=BaseException): pass",
        "def f():\n    try:\n        x = 1\n    finally:\n        return 2",
        "for i in '12':\n    try:\n        x = 1\n    finally:\n        continue",
        "while True:\n    try:\n        x = 1\n    finally:\n        if x: break",
        "class A:\n    def __exit__(self, *a):\n        return True",
        "class A:\n    async def __aexit__(self, *a):\n        return self.swallows",
        "class A:\n    __exit__ = lambda *a: True",
        "x = await asyncio.gather(f(), return_exceptions=True)",
        "x = await asyncio.gather(f(), **{'return_exceptions': True})"}) {
    EXPECT_THAT(problem_of(in_body(statement)), HasSubstr("catches every exception")) << statement;
  }
}

TEST(StaticCheck, LetsTheHonestTwinsPass) {
  for (const char* statement :
       {"x = self.eval(problem)", "x = exec_code(problem, 'f')", "x = 'exec(1)'  # eval(1)",
        "def f(vars, type):\n    return vars[type]", "x = [compile for compile in problem]",
        "x = type(problem) == str and isinstance(problem, (str, type))", "x = hasattr(self, 'llm')",
        "raise Exception('no answer')", "x = isinstance(problem, Exception)",
        "class E(Exception):\n    pass\ntry:\n    x = 1\nexcept E:\n    pass",
        "many = (ValueError, KeyError)\ntry:\n    x = 1\nexcept many as e:\n    pass",
        "try:\n    x = 1\nexcept (ValueError, IndexError):\n    raise\nfinally:\n    for i in "
        "'1':\n"
        "        if i: break",
        "class A:\n    def __exit__(self, *a):\n        self.open = False\n        return False",
        "x = problem.format(problem)", "self._kept = problem\nx = self._kept",
        "def f(e: Exception) -> Exception:\n    return e"}) {
    expect_valid(in_body(statement));
  }
  for (const char* top :
       {"import re\nx = re.compile('a').match('b')\n", "import re as r\nx = r.compile('a')\n",
        "from re import compile\nx = compile('a')\n", "import ast\nx = ast.literal_eval('1')\n",
        "import json, math\nx = json.loads('1') + math.exp(1)\n", "def evaluate(x): return x\n",
        "class Tool:\n    def compile(self): pass\n    def eval(self, x): return self.eval(x)\n",
        "import asyncio, json\ntry:\n    x = 1\nexcept (asyncio.TimeoutError, "
        "json.JSONDecodeError):\n    x = 2\n",
        "import collections.abc, random\nx = random.random()\ny = collections.abc.Iterable\n",
        "import functools\n@functools.lru_cache(None)\ndef f(): pass\n",
        "class A(dict):\n    def __init__(self):\n        super().__init__()\n",
        "import string\ndef f(string): return string\n", "from typing import List, Tuple\n",
        "import asyncio\nasync def f(*a): return await asyncio.gather(*a)\n"}) {
    expect_valid(workflow(top, ""));
  }
}

TEST(StaticCheck, KnowsAWholeWorkflowFromAPrefix) {
  const std::string whole = workflow("", "");
  EXPECT_TRUE(jail().agent.is_whole(whole));
  const std::string open = whole.substr(0, whole.rfind("        return"));
  EXPECT_FALSE(jail().agent.is_whole(open)) << "no statement yet: it does not parse";
  EXPECT_TRUE(
      jail().agent.is_whole(open + "        return (\n            problem,\n            0.0)\n"));
  EXPECT_FALSE(jail().agent.is_whole(open + "        x = '''\n        return problem, 0.0\n'''\n"));
}

}  // namespace
}  // namespace weft
