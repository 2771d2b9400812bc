// What ordinary programs do, and pass with.
#include <gtest/gtest.h>

#include "sandbox/judge/judge.h"
#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

std::string output_of(const std::string& code, const std::string& input,
                      const std::string& output) {
  JudgeRequest request;
  request.code = code;
  request.mode = Mode::kStdio;
  request.tests = {Json{{"input", input}, {"output", output}}};
  const Verdict verdict = test::shared_judge().run(request);
  return verdict.row_verdict() + " " + verdict.tests[0].got + verdict.tests[0].error_message;
}

Verdict call(const std::string& code, Json test, const std::string& entry_point = "f") {
  auto request = test::call_request(code, entry_point);
  request.limits.cpu_ms = 2000;
  request.tests = {std::move(test)};
  return test::shared_judge().run(request);
}

std::string value_of(const std::string& expression, const std::string& expected) {
  const std::string code =
      "import collections, decimal, enum, fractions, typing\n"
      "class Colour(enum.IntEnum):\n    RED = 2\n"
      "class Name(enum.StrEnum):\n    A = 'a'\n"
      "class Old(str, enum.Enum):\n    A = 'a'\n"
      "class Point(typing.NamedTuple):\n    x: int\n    y: int\n"
      "class Tree(dict):\n    def __missing__(self, key): return 0\n"
      "class Rows(list): pass\n"
      "Pair = collections.namedtuple('Pair', 'a b')\n"
      "class Named(Pair):\n    def norm(self): return 1\n"
      "def f(x):\n    return " +
      expression + "\n";
  const Verdict verdict =
      call(code, Json{{"args", {1}}, {"expected", parse_json(expected, "expected")}});
  return verdict.row_verdict();
}

TEST(HonestPrograms, FinalisersPrintAsInPython) {
  for (const char* code :
       {"class A:\n    def __del__(self): print(42)\na = A()\n",
        "import sys\nclass A:\n    def __del__(self): sys.stdout.write('42')\na = A()\n",
        "import os\nclass A:\n    def __del__(self): os.write(1, b'42')\na = A()\n",
        "class A:\n    def __init__(self): self.me = self\n    def __del__(self): print(42)\nA()\n",
        "class A:\n    def __del__(self): print(42)\nclass B: a = A()\n",
        "import sys\nwrite = sys.stdout.write\nclass A:\n    def __del__(self): write('42')\n"
        "a = A()\nsys.exit()\n",
        "import weakref\nclass A: pass\na = A()\nweakref.finalize(a, print, 42)\n",
        "import io, sys, atexit\nsys.stdout = io.StringIO()\n"
        "atexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue()))\nprint(42)\n"}) {
    EXPECT_EQ(output_of(code, "", "42"), "PASS ") << code;
  }
}

TEST(HonestPrograms, ReadTheirInputByEveryName) {
  if (test::shared_sandbox().tier() == "C") GTEST_SKIP() << "no /dev/stdin without namespaces";
  for (const char* code :
       {"print(open('/dev/stdin').read())", "print(open(0).read())", "print(input())",
        "import sys\nsys.stdin = open('/dev/stdin')\nprint(input())",
        "import os\nprint(os.read(0, 99).decode())",
        "import pathlib\nprint(pathlib.Path('/dev/stdin').read_text())",
        "import fileinput\nprint(*fileinput.input('/dev/stdin'))",
        "import mmap\nprint(mmap.mmap(0, 0, prot=mmap.PROT_READ).read().decode())"}) {
    EXPECT_EQ(output_of(code, "3 4\n", "3 4"), "PASS ") << code;
  }
  EXPECT_EQ(output_of("print(len(open('/dev/stdin').read()))", std::string(3 << 20, 'x'),
                      std::to_string(3 << 20)),
            "PASS ");
  EXPECT_EQ(output_of("print(open('/dev/stdin').read(), end='')", "", ""), "PASS ");
}

TEST(HonestPrograms, WriteTheNullDeviceAndFilesOfTheirOwn) {
  EXPECT_EQ(output_of("import sys, os\nsys.stderr = open(os.devnull, 'w')\n"
                      "print('x', file=sys.stderr)\nprint(42)",
                      "", "42"),
            "PASS ");
  if (test::shared_sandbox().tier() == "C") GTEST_SKIP() << "no scratch without namespaces";
  for (const char* code :
       {"open('a.txt', 'w').write('42')\nprint(open('a.txt').read())",
        "import tempfile\nwith tempfile.TemporaryFile('w+') as f:\n    f.write('42')\n"
        "    f.seek(0)\n    print(f.read())",
        "import tempfile, os\nwith tempfile.TemporaryDirectory() as d:\n"
        "    p = os.path.join(d, 'x')\n    open(p, 'w').write('42')\n    print(open(p).read())",
        "import sqlite3\nc = sqlite3.connect('data.db')\nc.execute('create table t(x)')\n"
        "c.execute('insert into t values (42)')\nc.commit()\n"
        "print(*c.execute('select x from t').fetchone())",
        "import shelve\nwith shelve.open('s') as s: s['x'] = 42\n"
        "with shelve.open('s') as s: print(s['x'])"}) {
    EXPECT_EQ(output_of(code, "", "42"), "PASS ") << code;
  }
}

TEST(HonestPrograms, RecurseInThreads) {
  const std::string recursion =
      "import functools, sys, threading\nsys.setrecursionlimit(10**6)\n"
      "@functools.cache\ndef depth(n): return depth(n - 1) + 1 if n else 0\n"
      "def deep(n): return max(deep(n - 1) for _ in (0,)) + 1 if n else 0\n";
  const std::string run = "t = threading.Thread(target=main)\nt.start()\nt.join()\n";
  EXPECT_EQ(output_of(recursion + "def main(): print(depth(10000))\n" + run, "", "10000"), "PASS ");
  EXPECT_EQ(output_of(recursion + "def main(): print(deep(9000))\n" + run, "", "9000"), "PASS ");
  for (const char* size : {"1 << 26", "1 << 27", "1 << 28", "512 << 20"}) {
    EXPECT_EQ(output_of(recursion + "threading.stack_size(" + size +
                            ")\ndef main(): print(depth(50000))\n" + run,
                        "", "50000"),
              "PASS ")
        << size;
  }
  EXPECT_EQ(output_of("import concurrent.futures as c\n"
                      "with c.ThreadPoolExecutor(32) as pool:\n"
                      "    print(sum(pool.map(lambda n: len(bytes(1 << 20)) >> 20, range(64))))\n",
                      "", "64"),
            "PASS ");
}

TEST(HonestPrograms, KnowTimeZones) {
  if (!std::filesystem::exists("/usr/share/zoneinfo/Europe/Paris")) {
    GTEST_SKIP() << "this machine has no time zones";
  }
  const Verdict verdict = call(
      "import datetime, zoneinfo\ndef f(x):\n"
      "    at = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris'))\n"
      "    return str(at.utcoffset())\n",
      test::call_test(1, "2:00:00"));
  EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
}

TEST(HonestPrograms, AreMethodsOfANewObjectEachCall) {
  const std::string code =
      "class Solution:\n    def __init__(self): self.seen = []\n"
      "    def twice(self, x, times=2):\n        self.seen.append(x)\n"
      "        return times * sum(self.seen)\n";
  auto request = test::call_request(code, "Solution().twice");
  request.tests = {test::call_test(1, 2), test::call_test(1, 2),
                   Json{{"args", {2}}, {"kwargs", {{"times", 3}}}, {"expected", 6}},
                   Json{{"code", "assert Solution().twice(4) == 8"}}};
  const Verdict verdict = test::shared_judge().run(request);
  EXPECT_EQ(verdict.passed, 4) << dump_json(to_json(verdict));
  for (const char* missing : {"Solution().thrice", "Other().twice", "Solution.twice()"}) {
    EXPECT_EQ(call(code, test::call_test(1, 2), missing).row_verdict(), "NO_ENTRY") << missing;
  }
  EXPECT_EQ(call("class Solution:\n    def __init__(self, n): pass\n    def f(self, x): pass\n",
                 test::call_test(1, 2), "Solution().f")
                .row_verdict(),
            "ERROR(TypeError)");
}

TEST(HonestPrograms, ReturnWhatComparesAsPlainData) {
  const std::pair<const char*, const char*> equal[] = {
      {"Pair(1, 2)", R"({"$tuple":[1,2]})"},
      {"[Point(1, 2), Named(3, 4)]", R"([{"$tuple":[1,2]},{"$tuple":[3,4]}])"},
      {"Colour.RED", "2"},
      {"{Name.A: Colour.RED, Old.A: 1}", R"({"a":1})"},
      {"Tree(a=1)", R"({"a":1})"},
      {"Rows([1, 2])", "[1,2]"},
      {"fractions.Fraction(1, 2)", "0.5"},
      {"fractions.Fraction(4, 2)", "2"},
      {"fractions.Fraction(1, 3)", R"({"$fraction":[1,3]})"},
      {"decimal.Decimal('0.5')", "0.5"},
      {"decimal.Decimal('1E+3')", "1000"},
      {"decimal.Decimal('0.1')", R"({"$fraction":[1,10]})"},
      {"decimal.Decimal('-Infinity')", R"({"$float":"-inf"})"},
      {"collections.deque([1, 2])", R"({"$deque":[1,2]})"},
      {"range(0, 5, 2)", R"({"$range":[0,6,2]})"}};
  for (const auto& [expression, expected] : equal) {
    EXPECT_EQ(value_of(expression, expected), "PASS") << expression;
  }
  const std::pair<const char*, const char*> different[] = {
      {"Pair(1, 2)", "[1,2]"},
      {"fractions.Fraction(1, 10)", "0.1"},
      {"decimal.Decimal('NaN')", R"({"$float":"nan"})"},
      {"collections.deque([1, 2])", "[1,2]"},
      {"range(3)", "[0,1,2]"},
      {"Colour.RED", R"("RED")"}};
  for (const auto& [expression, expected] : different) {
    EXPECT_EQ(value_of(expression, expected), "WRONG") << expression;
  }
}

TEST(HonestPrograms, TakeWhatTheyReturn) {
  const Json values = parse_json(
      R"([{"$deque":[1,[2]]},{"$range":[5,0,-2]},{"$fraction":[{"$int":"-99999999999999999999"},7]}])",
      "values");
  auto request = test::call_request(
      "import fractions\ndef f(d, r, q):\n    assert (type(d).__name__, type(r), q + 0) == "
      "('deque', range, q)\n"
      "    return [d, r, q]\n");
  request.tests = {Json{{"args", values}, {"expected", values}}};
  const Verdict verdict = test::shared_judge().run(request);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
}

}  // namespace
}  // namespace weft
