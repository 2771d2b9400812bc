#include "base/progress.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using std::chrono::seconds;

TEST(Progress, FormatsDurations) {
  EXPECT_EQ(format_duration(5), "0:05");
  EXPECT_EQ(format_duration(65.4), "1:05");
  EXPECT_EQ(format_duration(7384), "2:03:04");
}

TEST(Progress, FormatsRatesByWhatOneTakes) {
  EXPECT_EQ(format_rate(12.5), "12.5/s");
  EXPECT_EQ(format_rate(1), "1/s");
  EXPECT_EQ(format_rate(0.4), "2.5 s each");
}

TEST(Progress, PrintsAPlainLineOffATerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("sft", 10, "steps");
    progress.advance(10);
    progress.note("loss 1.5");
  }
  const auto text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("sft 10/10 steps"), std::string::npos) << text;
  EXPECT_NE(text.find("| loss 1.5"), std::string::npos) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(Progress, CountsAloneWhereTheTotalIsNotKnown) {
  testing::internal::CaptureStderr();
  {
    Progress progress("rows of a stream", 0, "rows");
    progress.advance(3);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("rows of a stream 3 rows"), std::string::npos) << text;
  EXPECT_EQ(text.find("/0"), std::string::npos) << text;
}

TEST(Progress, TellsTokensWhileNothingAdvancesAndIsInTheLogAsPrinted) {
  test::TempDir dir;
  log::open_file(dir / "log.txt");
  testing::internal::CaptureStderr();
  {
    int64_t tokens = 41;
    Progress progress("evaluate", 2, "runs", 0, [&] { return ++tokens; });
  }
  const auto printed = testing::internal::GetCapturedStderr();
  log::close_file();
  EXPECT_NE(printed.find("evaluate 0/2 runs, 0:00 so far, 42 tokens\n"), std::string::npos)
      << printed;
  EXPECT_NE(printed.find(" 43 tokens\n"), std::string::npos) << printed;
  std::istringstream lines(printed);
  std::string all = read_file(dir / "log.txt");
  for (std::string line; std::getline(lines, line);) {
    const size_t at = all.find(line);
    ASSERT_NE(at, std::string::npos) << line;
    all.erase(0, at + line.size());
  }
}

// A step a second for ten minutes, then one in four seconds.
TEST(Progress, TheRateIsThatOfTheLastMinute) {
  const auto start = ProgressRate::Clock::now();
  ProgressRate rate(0, start);
  EXPECT_EQ(rate.per_second(start + seconds(5)), 0);
  int64_t done = 0;
  auto now = start;
  for (int i = 0; i < 600; ++i) rate.add(++done, now += seconds(1));
  EXPECT_NEAR(rate.per_second(now), 1, 0.02);
  for (int i = 0; i < 20; ++i) rate.add(++done, now += seconds(4));
  EXPECT_NEAR(rate.per_second(now), 0.25, 0.02);
}

TEST(Progress, AStepThatTakesMinutesCountsFromTheStart) {
  const auto start = ProgressRate::Clock::now();
  ProgressRate rate(40, start);  // of them before
  rate.add(41, start + seconds(300));
  rate.add(42, start + seconds(600));
  EXPECT_NEAR(rate.per_second(start + seconds(700)), 2.0 / 700, 1e-9);
  EXPECT_NEAR(rate.quiet_s(start + seconds(700)), 100, 1e-9);
}

TEST(Progress, ManyStepsASecondKeepFewSamplesAndTheirRate) {
  const auto start = ProgressRate::Clock::now();
  ProgressRate rate(0, start);
  auto now = start;
  for (int64_t done = 1; done <= 100000; ++done) {
    rate.add(done, now += std::chrono::milliseconds(1));
  }
  EXPECT_NEAR(rate.per_second(now), 1000, 20);
}

}  // namespace
}  // namespace weft
