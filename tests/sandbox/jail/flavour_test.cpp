#include "sandbox/jail/flavour.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/sandbox/jail_support.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

Flavour flavour(std::string_view source, bool has_packages = true) {
  return flavour_for({source}, {has_packages, has_packages});
}

TEST(Flavour, IsTheLeastThatHasTheImports) {
  EXPECT_EQ(flavour("def f(x):\n    return x"), Flavour::kMin);
  EXPECT_EQ(flavour("import math, sys\nfrom collections import deque"), Flavour::kMin);
  EXPECT_EQ(flavour("from typing import List"), Flavour::kStd);
  EXPECT_EQ(flavour("import math, json"), Flavour::kStd);
  EXPECT_EQ(flavour("def f():\n    import numpy.linalg as la"), Flavour::kNumpy);
  EXPECT_EQ(flavour("import os; from numpy import array"), Flavour::kStd);
  EXPECT_EQ(flavour("import math as m, numpy as np"), Flavour::kNumpy);
  EXPECT_EQ(flavour("import numpy", false), Flavour::kStd);
  EXPECT_EQ(flavour("import numpy as np\nfrom sympy import symbols"), Flavour::kSympy);
  EXPECT_EQ(flavour("from sympy import symbols", false), Flavour::kStd);
  EXPECT_EQ(flavour_for({"import math", "import json"}, {true, true}), Flavour::kStd);
  EXPECT_EQ(flavour(""), Flavour::kMin);
  EXPECT_EQ(flavour("import "), Flavour::kMin);
}

TEST(Flavour, AWrongGuessChangesNoVerdict) {
  auto request = test::call_request("def f(x):\n    return __import__('json').dumps(x)\n");
  request.tests = {test::call_test(2, "2")};
  EXPECT_EQ(test::shared_judge().run(request).row_verdict(), "PASS");
}

/// A folder of packages with a numpy of this text.
class StandInNumpy {
 public:
  explicit StandInNumpy(const std::string& text) {
    std::filesystem::create_directory(folder());
    std::filesystem::permissions(packages_.path(), std::filesystem::perms(0755));
    write_file_atomically(folder() / "__init__.py", text);
    write_file_atomically(folder() / "random.py", "def seed(value):\n    pass\n");
  }
  std::filesystem::path folder() const { return packages_ / "numpy"; }
  SandboxOptions options() const {
    auto options = test::sandbox_options();
    options.packages = packages_.path().string();
    return options;
  }

 private:
  test::TempDir packages_;
};

TEST(Flavour, CodeThatImportsNumpyFindsThePackagesOfTheFolder) {
  const StandInNumpy numpy("import os\nloaded_by = os.getpid()\n");
  Sandbox sandbox(numpy.options());
  Judge judge(sandbox);
  auto request = test::call_request("import numpy, os\ndef f(x):\n    return numpy.loaded_by\n");
  request.tests = {test::call_test(1, 1)};  // by PID 1 of the jail: before the fork
  const Verdict verdict = judge.run(request);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
  request.code = "def f(x):\n    return open('/packages/x', 'w')\n";
  EXPECT_EQ(judge.run(request).row_verdict(), "ERROR(OSError)");
}

TEST(Flavour, PackagesThatTheJailsUserCannotReadAreNamed) {
  if (geteuid() != 0) GTEST_SKIP() << "jails run as the user who starts them";
  const StandInNumpy numpy("");
  std::filesystem::permissions(numpy.folder(), std::filesystem::perms(0700));
  const std::string error = test::input_error([&] { Sandbox sandbox(numpy.options()); });
  EXPECT_NE(error.find("cannot read " + numpy.folder().string()), std::string::npos) << error;
  EXPECT_NE(error.find("chmod -R a+rX"), std::string::npos) << error;
}

TEST(Flavour, EveryJobSeedsNumpysGenerator) {
  const StandInNumpy numpy("from numpy import random\n");
  write_file_atomically(numpy.folder() / "random.py",
                        "import os\nstate = os.getpid()\n"
                        "def seed(value):\n    global state\n    state = value\n"
                        "def rand():\n    global state\n    state += 1\n    return state\n");
  Sandbox sandbox(numpy.options());
  Judge judge(sandbox);
  auto request = test::call_request("import numpy\ndef f(x):\n    return numpy.random.rand()\n");
  request.tests = {test::call_test(1, 1), test::call_test(1, 2)};
  for (int i = 0; i < 2; ++i) {
    const Verdict verdict = judge.run(request);
    EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
  }
}

TEST(Flavour, RealNumpyComputesInTheJail) {
  auto options = test::sandbox_options();
  options.packages = test::test_packages("numpy");
  if (options.packages.empty()) {
    GTEST_SKIP() << "no .venv-test with the package numpy; scripts/bootstrap.sh --tests makes it";
  }
  Sandbox sandbox(options);
  Judge judge(sandbox);
  auto request = test::call_request(
      "import numpy as np\n"
      "def f(n):\n"
      "    a = np.arange(n * n, dtype=float).reshape(n, n) + np.eye(n)\n"
      "    b = np.random.rand(n)\n"
      "    return bool(np.allclose(a @ np.linalg.solve(a, b), b)), int((a @ a).trace())\n");
  request.tests = {{{"args", {2}}, {"expected", {{"$tuple", {true, 21}}}}}};
  const Verdict solved = judge.run(request);
  EXPECT_EQ(solved.row_verdict(), "PASS") << dump_json(to_json(solved));
  // Two jobs draw the same numbers.
  request.code = "import numpy as np\ndef f(x):\n    return float(np.random.rand())\n";
  const std::string drawn = judge.run(request).tests[0].got;
  EXPECT_EQ(judge.run(request).tests[0].got, drawn);
  request.code = "import numpy as np\ndef f(x):\n    np.save('/packages/x.npy', [x])\n";
  EXPECT_EQ(judge.run(request).row_verdict(), "ERROR(OSError)");
}

TEST(Flavour, NumpysNumbersAndArraysCountAsWhatTheyHold) {
  auto options = test::sandbox_options();
  options.packages = test::test_packages("numpy");
  if (options.packages.empty()) {
    GTEST_SKIP() << "no .venv-test with the package numpy; scripts/bootstrap.sh --tests makes it";
  }
  Sandbox sandbox(options);
  Judge judge(sandbox);
  auto request =
      test::call_request("import numpy as np\ndef f(x):\n    return eval(x, {'np': np})\n");
  const auto verdict = [&](const char* expression, const char* expected) {
    request.tests = {test::call_test(expression, parse_json(expected, "t"))};
    return judge.run(request).row_verdict();
  };
  const std::pair<const char*, const char*> equal[] = {
      {"np.float64(0.5)", "0.5"},
      {"np.float32(0.5)", "0.5"},
      {"np.float16(0.5)", "0.5"},
      {"np.int64(-3)", "-3"},
      {"np.uint8(200)", "200"},
      {"np.uint64(2**64 - 1)", R"({"$int":"18446744073709551615"})"},
      {"np.bool_(True)", "true"},
      {"np.complex128(1+2j)", R"({"$complex":[1.0,2.0]})"},
      {"np.str_('é')", R"("é")"},
      {"np.arange(6).reshape(2, 3)[:, ::2]", "[[0,2],[3,5]]"},
      {"[np.array([True]), np.array(7), np.array([])]", "[[true],7,[]]"},
      {"np.array([1, 'a', None], dtype=object)", R"([1,"a",null])"},
      {"{np.int32(1): np.float64('nan') != 0}", R"({"$dict":[[1,true]]})"}};
  for (const auto& [expression, expected] : equal) {
    EXPECT_EQ(verdict(expression, expected), "PASS") << expression;
  }
  EXPECT_EQ(verdict("np.float32(0.1)", "0.1"), "WRONG");
  for (const char* expression :
       {"np.datetime64('2020-01-01')", "np.array(['a'])", "np.longdouble(1)", "np.dtype(int)",
        "np.matrix([1])", "type('A', (np.ndarray,), {'__eq__': lambda a, b: True})((1,))",
        "type('F', (np.float64,), {'__eq__': lambda a, b: True})(0.5)"}) {
    EXPECT_EQ(verdict(expression, "0.5"), "UNSERIALISABLE") << expression;
  }
}

TEST(Flavour, PackagesThatCannotBeImportedAreFoundAtTheStart) {
  const StandInNumpy numpy("import no_such_module\n");
  try {
    Sandbox sandbox(numpy.options());
    FAIL() << "it starts";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no_such_module"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace weft
