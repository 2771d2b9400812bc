// How a program ended: a test of mode stdio passes only after exit status 0.
#include <gtest/gtest.h>

#include "sandbox/judge/judge.h"
#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

JudgeRequest program(const std::string& code, const std::string& output = "42") {
  JudgeRequest request;
  request.code = code;
  request.mode = Mode::kStdio;
  request.tests = {Json{{"input", ""}, {"output", output}}};
  return request;
}

std::string end_of(const std::string& code, const std::string& output = "42") {
  return test::shared_judge().run(program(code, output)).row_verdict();
}

TEST(StdioEnd, ACleanEndPasses) {
  const char* const kClean[] = {
      "print(42)", "print(42, end='')", "import sys\nprint(42)\nsys.exit(0)",
      "import sys\nprint(42)\nsys.exit(None)", "print(42)\nexit()", "print(42)\nraise SystemExit",
      "import os\nprint(42, flush=True)\nos._exit(0)",
      "import sys\nsys.stdout.write('42')\nsys.stdout.close()",
      "import atexit\natexit.register(print, 42)",
      "try:\n    1 / 0\nexcept ZeroDivisionError:\n    print(42)",
      // What CPython ends with 0 in spite of an exception: in a thread, at exit, in a finaliser.
      "import threading\nt = threading.Thread(target=lambda: 1 / "
      "0)\nt.start()\nt.join()\nprint(42)",
      "import atexit\natexit.register(lambda: 1 / 0)\nprint(42)",
      "class A:\n    def __del__(self): 1 / 0\na = A()\nprint(42)",
      "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), "
      "daemon=True).start()\n"
      "print(42)"};
  for (const char* code : kClean) EXPECT_EQ(end_of(code), "PASS") << code;
}

TEST(StdioEnd, TheRightOutputBeforeAnotherEndDoesNotPass) {
  const std::pair<const char*, const char*> kEnds[] = {
      {"print(42)\n1 / 0", "ERROR(ZeroDivisionError)"},
      {"print(42)\nraise KeyboardInterrupt", "ERROR(KeyboardInterrupt)"},
      {"def f(): f()\nprint(42)\nf()", "ERROR(RecursionError)"},
      {"print(42)\ninput()", "ERROR(EOFError)"},
      {"import sys\nprint(42)\nsys.exit(1)", "EXIT(1)"},
      {"print(42)\nraise SystemExit('text')", "EXIT(1)"},
      {"print(42)\nraise SystemExit(True)", "EXIT(1)"},
      {"print(42)\nraise SystemExit((0, 0))", "EXIT(1)"},
      {"print(42)\nraise SystemExit(-1)", "EXIT(255)"},
      {"class E(SystemExit): pass\nprint(42)\nraise E(5)", "EXIT(5)"},
      {"import os\nprint(42, flush=True)\nos._exit(3)", "EXIT(3)"},
      {"import atexit, os\natexit.register(os._exit, 4)\nprint(42, flush=True)", "EXIT(4)"},
      {"import threading, os\nprint(42, flush=True)\n"
       "threading.Thread(target=os._exit, args=(6,)).start()",
       "EXIT(6)"},
      {"import sys\nprint(42, flush=True)\nprint('x')\nimport os\nos.close(1)", "EXIT(120)"},
      {"import ctypes\nprint(42, flush=True)\nctypes.string_at(0)", "SIGNAL(11)"},
      {"import os\nprint(42, flush=True)\nos.abort()", "SIGNAL(6)"},
      {"import ctypes\nprint(42, flush=True)\nctypes.CDLL(None).unshare(0x10000000)", "POLICY"}};
  for (const auto& [code, verdict] : kEnds) EXPECT_EQ(end_of(code), verdict) << code;
}

TEST(StdioEnd, WhatDoesNotParsePassesNoEmptyOutput) {
  EXPECT_EQ(end_of("print(42", ""), "ERROR(SyntaxError)");
  EXPECT_EQ(end_of("\tif", ""), "ERROR(IndentationError)");
  EXPECT_EQ(end_of("import no_such_module", ""), "ERROR(ModuleNotFoundError)");
  EXPECT_EQ(end_of("pass", ""), "PASS");
}

// The exception was told before the guest's hooks ran, and the status comes from outside.
TEST(StdioEnd, AnExceptionCannotBeMadeACleanEnd) {
  const char* const kDisguises[] = {
      "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\nprint(42, flush=True)\n1 / 0",
      "import sys\nsys.excepthook = lambda *a: sys.exit(0)\nprint(42, flush=True)\n1 / 0",
      "import atexit, os\natexit.register(os._exit, 0)\nprint(42, flush=True)\n1 / 0",
      "import os\nclass Z(ZeroDivisionError):\n    def __str__(self): os._exit(0)\n"
      "print(42, flush=True)\ntry:\n    1 / 0\nexcept ZeroDivisionError as e:\n"
      "    raise e from Z()"};
  for (const char* code : kDisguises) EXPECT_EQ(end_of(code), "ERROR(ZeroDivisionError)") << code;
  EXPECT_EQ(end_of("import os\nos.write(3, b'forged' * 9)\nprint(42)"), "PROTOCOL");
}

TEST(StdioEnd, AnExcepthookPrintsAsItDoesInPython) {
  const auto verdict = test::shared_judge().run(
      program("import sys\nsys.excepthook = lambda *a: print('seen')\n1 / 0", "seen"));
  EXPECT_EQ(verdict.row_verdict(), "ERROR(ZeroDivisionError)");
}

TEST(StdioEnd, TheStatusStandsInTheRow) {
  const Json row = to_json(test::shared_judge().run(program("print(42)\nraise SystemExit(3)")));
  EXPECT_EQ(row["verdict"], "EXIT(3)");
  EXPECT_EQ(row["tests"][0], (Json{{"verdict", "EXIT(3)"}}));
  EXPECT_EQ(row["passed"], 0);
}

}  // namespace
}  // namespace weft
