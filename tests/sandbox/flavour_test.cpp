#include "sandbox/flavour.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

Flavour flavour(std::string_view source, bool has_numpy = true) {
  return flavour_for({source}, has_numpy);
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
  EXPECT_EQ(flavour_for({"import math", "import json"}, true), Flavour::kStd);
  EXPECT_EQ(flavour(""), Flavour::kMin);
  EXPECT_EQ(flavour("import "), Flavour::kMin);
}

TEST(Flavour, AWrongGuessChangesNoVerdict) {
  auto request = test::call_request("def f(x):\n    return __import__('json').dumps(x)\n");
  request.tests = {test::call_test(2, "2")};
  EXPECT_EQ(test::shared_judge().run(request).row_verdict(), "PASS");
}

TEST(Flavour, CodeThatImportsNumpyFindsThePackagesOfTheFolder) {
  const test::TempDir packages;
  std::filesystem::create_directory(packages / "numpy");
  std::filesystem::permissions(packages.path(), std::filesystem::perms(0755));
  write_file_atomically(packages / "numpy" / "__init__.py", "import os\nloaded_by = os.getpid()\n");
  auto options = test::sandbox_options();
  options.packages = packages.path().string();
  Sandbox sandbox(options);
  Judge judge(sandbox);
  auto request = test::call_request("import numpy, os\ndef f(x):\n    return numpy.loaded_by\n");
  request.tests = {test::call_test(1, 1)};  // by PID 1 of the jail: before the fork
  const Verdict verdict = judge.run(request);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
  request.code = "def f(x):\n    return open('/packages/x', 'w')\n";
  EXPECT_EQ(judge.run(request).row_verdict(), "ERROR(OSError)");
}

TEST(Flavour, PackagesThatCannotBeImportedAreFoundAtTheStart) {
  const test::TempDir packages;
  std::filesystem::create_directory(packages / "numpy");
  std::filesystem::permissions(packages.path(), std::filesystem::perms(0755));
  write_file_atomically(packages / "numpy" / "__init__.py", "import no_such_module\n");
  auto options = test::sandbox_options();
  options.packages = packages.path().string();
  try {
    Sandbox sandbox(options);
    FAIL() << "it starts";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no_such_module"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace weft
