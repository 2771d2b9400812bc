#include "base/metrics.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

std::string event_file(const fs::path& dir) {
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (entry.path().filename().string().starts_with("events.out.tfevents")) {
      return read_file(entry.path());
    }
  }
  return "";
}

// RFC 3720, B.4: 32 bytes of zeros, and of ones.
TEST(Metrics, Crc32cGivesThePublishedAnswers) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Metrics, WritesOneLineAStep) {
  test::TempDir dir;
  MetricWriter writer(dir.path());
  writer.write(1, {{"loss", 2.5}});
  writer.write(2, {{"loss", 1.5}});
  EXPECT_EQ(read_file(dir / "metrics.jsonl"),
            "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":1.5}\n");
}

TEST(Metrics, EventRecordsHaveRightLengthsAndChecksums) {
  test::TempDir dir;
  MetricWriter(dir.path()).write(7, {{"loss", 2.5}});
  const std::string bytes = event_file(dir.path());
  size_t at = 0;
  std::string last;
  int records = 0;
  while (at < bytes.size()) {
    uint64_t length;
    uint32_t stored;
    std::memcpy(&length, bytes.data() + at, 8);
    last = bytes.substr(at + 12, length);
    std::memcpy(&stored, bytes.data() + at + 12 + length, 4);
    const uint32_t crc = crc32c(last);
    EXPECT_EQ(stored, ((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    at += 16 + length;
    ++records;
  }
  EXPECT_EQ(records, 2);
  EXPECT_NE(last.find("loss"), std::string::npos);
  const float value = 2.5f;
  EXPECT_NE(last.find(std::string(reinterpret_cast<const char*>(&value), 4)), std::string::npos);
}

TEST(Metrics, ResumingDropsLaterSteps) {
  test::TempDir dir;
  {
    MetricWriter writer(dir.path());
    for (int step = 1; step <= 4; ++step) writer.write(step, {{"loss", step}});
  }
  MetricWriter(dir.path(), /*resume_step=*/2).write(3, {{"loss", 9}});
  EXPECT_EQ(read_file(dir / "metrics.jsonl"),
            "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"loss\":9}\n");
}

}  // namespace
}  // namespace weft
