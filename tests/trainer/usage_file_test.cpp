#include "trainer/usage_file.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

constexpr double kNever = 1e6;  // seconds

Json two(int64_t decoded, int64_t prefilled) {
  return {{"decoded_tokens", decoded}, {"prefill_tokens", prefilled}};
}

TEST(UsageFile, AddsTheProcessesOfARunUp) {
  const test::TempDir dir;
  const fs::path path = dir / "usage.json";
  {
    const UsageFile first(
        path, [] { return two(10, 0); }, kNever);
  }
  EXPECT_EQ(read_json_file(path), two(10, 0));
  {
    const UsageFile second(
        path, [] { return two(5, 7); }, kNever);
  }
  EXPECT_EQ(read_json_file(path), two(15, 7));
}

TEST(UsageFile, IsWrittenWhenARunEndsByAnException) {
  const test::TempDir dir;
  try {
    const UsageFile usage(
        dir / "usage.json", [] { return two(3, 4); }, kNever);
    throw std::runtime_error("interrupted");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(read_json_file(dir / "usage.json"), two(3, 4));
}

TEST(UsageFile, IsWrittenWhileTheRunGoesOn) {
  const test::TempDir dir;
  std::atomic<int64_t> tokens{1};
  const UsageFile usage(
      dir / "usage.json", [&] { return two(tokens, 0); }, 0.01);
  const auto shows = [&](int64_t count) {
    return fs::exists(dir / "usage.json") && read_json_file(dir / "usage.json") == two(count, 0);
  };
  EXPECT_TRUE(test::wait_until([&] { return shows(1); }));
  tokens = 2;
  EXPECT_TRUE(test::wait_until([&] { return shows(2); }));
}

// A process that is refused the folder must not touch the file of the one that works there.
TEST(UsageFile, IsLeftAloneByAProcessThatComputedNothing) {
  const test::TempDir dir;
  {
    const UsageFile usage(
        dir / "usage.json", [] { return two(0, 0); }, kNever);
  }
  EXPECT_FALSE(fs::exists(dir / "usage.json"));
}

TEST(UsageFile, ThatCannotBeWrittenEndsNoRun) {
  const test::TempDir dir;
  EXPECT_NO_THROW(UsageFile(
      dir / "gone" / "usage.json", [] { return two(1, 1); }, kNever));
}

}  // namespace
}  // namespace weft
