// A task's files beside the code that is run for it.
#include <gtest/gtest.h>

#include "base/error.h"
#include "sandbox/trusted/trusted_function.h"
#include "tests/sandbox/jail_support.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

TaskFiles files_of(std::vector<TaskFile> files) {
  return std::make_shared<const std::vector<TaskFile>>(std::move(files));
}

class JobFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (test::shared_sandbox().tier() == "C") GTEST_SKIP() << "no scratch without namespaces";
  }

  JudgeRequest request(const std::string& code, std::vector<Json> tests) const {
    JudgeRequest request = test::call_request(code);
    request.files = files_;
    request.tests = std::move(tests);
    return request;
  }

  const TaskFiles files_ =
      files_of({{"data.csv", "a,b\n1,2\n"}, {"raw.bin", std::string("\0\xFF\n", 3)}});
};

std::string details(const Verdict& verdict) { return to_json(verdict).dump(); }

TEST_F(JobFiles, LieInTheWorkingFolder) {
  const Verdict verdict = test::shared_judge().run(
      request("import os\n"
              "def f(name):\n"
              "    assert sorted(os.listdir('.')) == ['data.csv', 'raw.bin']\n"
              "    return list(open(name, 'rb').read())\n",
              {test::call_test("data.csv", {97, 44, 98, 10, 49, 44, 50, 10}),
               test::call_test("raw.bin", {0, 255, 10})}));
  EXPECT_EQ(verdict.row_verdict(), "PASS") << details(verdict);
}

TEST_F(JobFiles, LieThereForProgramsAndCheckersToo) {
  JudgeRequest program =
      request("print(input() + open('data.csv').read())", {Json{{"input", "x\n"},
                                                                {"output",
                                                                 "x"
                                                                 "a,b\n1,2\n"}}});
  program.mode = Mode::kStdio;
  Verdict verdict = test::shared_judge().run(program);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << details(verdict);
  JudgeRequest checked =
      request("def f():\n    return open('data.csv').read()\n", {Json::object()});
  checked.mode = Mode::kJudge;
  checked.checker =
      "def check(candidate, test):\n    return candidate() == open('data.csv').read()\n";
  verdict = test::shared_judge().run(checked);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << details(verdict);
  const TrustedFunction function(test::shared_sandbox(),
                                 "def size():\n    return len(open('raw.bin', 'rb').read())\n",
                                 "size", {}, files_);
  const auto reply = function.call({});
  ASSERT_TRUE(reply.value) << reply.fault;
  EXPECT_EQ(reply.value->number, 3);
}

TEST_F(JobFiles, CannotBeChangedForTheNextTest) {
  const Verdict verdict = test::shared_judge().run(
      request("import os\n"
              "def attempts():\n"
              "    yield lambda: open('data.csv', 'w').write('x')\n"
              "    yield lambda: open('data.csv', 'r+').write('x')\n"
              "    yield lambda: open('data.csv', 'a').write('x')\n"
              "    yield lambda: os.remove('data.csv')\n"
              "    yield lambda: os.rename('data.csv', 'gone')\n"
              "    yield lambda: os.replace('mine', 'data.csv')\n"
              "    yield lambda: os.symlink('mine', 'data.csv')\n"
              "    yield lambda: os.truncate('data.csv', 0)\n"
              "    yield lambda: os.chmod('data.csv', 0o777)\n"
              "    yield lambda: os.link('data.csv', 'other')\n"
              "    yield lambda: os.mkdir('data.csv')\n"
              "    yield lambda: os.rename('/tmp', '/tmp2')\n"
              "def f(turn):\n"
              "    open('mine', 'w').write('forged')\n"
              "    worked = 0\n"
              "    for attempt in attempts():\n"
              "        try:\n"
              "            attempt()\n"
              "            worked += 1\n"
              "        except OSError:\n"
              "            pass\n"
              "    return [worked, open('data.csv').read()]\n",
              {test::call_test(1, {0, "a,b\n1,2\n"}), test::call_test(2, {0, "a,b\n1,2\n"})}));
  EXPECT_EQ(verdict.row_verdict(), "PASS") << details(verdict);
}

TEST_F(JobFiles, AreNotThereForAJobWithoutThem) {
  const std::string lists = "import os\ndef f(x):\n    return os.listdir('.')\n";
  EXPECT_EQ(test::shared_judge()
                .run(request(lists, {test::call_test(0, {"data.csv", "raw.bin"})}))
                .declared,
            1);
  JudgeRequest plain = test::call_request(lists);
  plain.tests = {test::call_test(0, Json::array())};
  const Verdict verdict = test::shared_judge().run(plain);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << details(verdict);
}

TEST_F(JobFiles, TakeTheirShareOfTheScratch) {
  std::string code =
      "def f(size):\n"
      "    try:\n        return open('mine', 'wb').write(bytes(size)) == size\n"
      "    except OSError:\n        return False\n";
  JudgeRequest judged = test::call_request(code);
  judged.files = files_of({{"big", std::string(1 << 20, 'x')}});
  judged.limits.scratch_mb = 2;
  judged.tests = {test::call_test(1 << 19, true), test::call_test(3 << 19, false)};
  const Verdict verdict = test::shared_judge().run(judged);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << details(verdict);
  judged.limits.scratch_mb = 0;
  EXPECT_EQ(test::input_error([&] { test::shared_judge().run(judged); }),
            "files: expected 1048576 bytes of room in the working folder, got 0 by "
            "limits.scratch_mb");
}

}  // namespace
}  // namespace weft
