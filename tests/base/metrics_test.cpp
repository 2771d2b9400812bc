#include "base/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/jsonl.h"
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

/// Steps of all records of files of this prefix, the version's record as 0; -1 for torn bytes.
std::vector<int> steps_in(const fs::path& dir, const std::string& prefix) {
  std::vector<int> steps;
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    const std::string bytes = read_file(entry.path());
    for (size_t at = 0; at < bytes.size();) {
      uint64_t length = 0;
      std::memcpy(&length, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
      if (bytes.size() - at < 16 + length) {
        steps.push_back(-1);
        break;
      }
      steps.push_back(bytes[at + 12 + 10]);  // below 128: one byte behind key, time and key
      at += 16 + length;
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

TEST(Metrics, ResumingMovesLaterStepsAside) {
  test::TempDir dir;
  {
    MetricWriter writer(dir.path());
    for (int step = 1; step <= 4; ++step) writer.write(step, {{"loss", step}});
  }
  MetricWriter(dir.path(), /*resume_step=*/2).write(3, {{"loss", 9}});
  EXPECT_EQ(read_file(dir / "metrics.jsonl"),
            "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"loss\":9}\n");
  EXPECT_EQ(read_file(dir / "metrics.jsonl.aside"),
            "{\"step\":3,\"loss\":3}\n{\"step\":4,\"loss\":4}\n");
  EXPECT_EQ(steps_in(dir.path(), "events.out.tfevents"), (std::vector<int>{0, 0, 1, 2, 3}));
  EXPECT_EQ(steps_in(dir.path(), "events.aside"), (std::vector<int>{3, 4}));

  MetricWriter(dir.path(), /*resume_step=*/1);
  EXPECT_EQ(read_file(dir / "metrics.jsonl.aside"),
            "{\"step\":3,\"loss\":3}\n{\"step\":4,\"loss\":4}\n"
            "{\"step\":2,\"loss\":2}\n{\"step\":3,\"loss\":9}\n");
  EXPECT_EQ(steps_in(dir.path(), "events.out.tfevents"), (std::vector<int>{0, 0, 0, 1}));
  EXPECT_EQ(steps_in(dir.path(), "events.aside"), (std::vector<int>{2, 3, 3, 4}));
}

TEST(Metrics, ResumingKeepsWhatACrashCutOffAside) {
  test::TempDir dir;
  MetricWriter(dir.path()).write(1, {{"loss", 1}});
  std::ofstream(dir / "metrics.jsonl", std::ios::app) << "{\"step\":2,\"lo";
  for (const auto& entry : fs::directory_iterator(dir.path())) {
    if (entry.path().filename().string().starts_with("events")) {
      std::ofstream(entry.path(), std::ios::app | std::ios::binary) << std::string("\x20\0\0", 3);
    }
  }
  MetricWriter(dir.path(), /*resume_step=*/1);
  EXPECT_EQ(read_file(dir / "metrics.jsonl"), "{\"step\":1,\"loss\":1}\n");
  EXPECT_EQ(read_file(dir / "metrics.jsonl.aside"), "{\"step\":2,\"lo\n");
  EXPECT_EQ(steps_in(dir.path(), "events.out.tfevents"), (std::vector<int>{0, 0, 1}));
  EXPECT_EQ(steps_in(dir.path(), "events.aside"), (std::vector<int>{-1}));
}

TEST(Jsonl, AFullDiskLeavesTheLinesWhereTheyWere) {
  test::TempDir dir;
  write_file_atomically(dir / "a.jsonl", "{\"step\":1}\n{\"step\":2}\n");
  fs::create_symlink("/dev/full", dir / "a.jsonl.aside");
  EXPECT_THROW(move_later_steps_aside(dir / "a.jsonl", 1), Error);
  EXPECT_EQ(read_file(dir / "a.jsonl"), "{\"step\":1}\n{\"step\":2}\n");
}

TEST(Jsonl, AppendingKeepsAPartialLineAside) {
  test::TempDir dir;
  write_file_atomically(dir / "a.jsonl", "{\"id\":1}\n{\"id\"");
  JsonlWriter(dir / "a.jsonl", /*append=*/true).write({{"id", 2}});
  EXPECT_EQ(read_file(dir / "a.jsonl"), "{\"id\":1}\n{\"id\":2}\n");
  EXPECT_EQ(read_file(dir / "a.jsonl.aside"), "{\"id\"\n");
}

TEST(Metrics, WhatIsNotMeasuredIsNullAndNoPointOfTensorBoard) {
  test::TempDir dir;
  MetricWriter(dir.path()).write(1, {{"first", nullptr}, {"second", std::nan("")}});
  EXPECT_EQ(read_file(dir / "metrics.jsonl"), "{\"step\":1,\"first\":null,\"second\":null}\n");
  EXPECT_EQ(event_file(dir.path()).find("first"), std::string::npos);
  EXPECT_EQ(event_file(dir.path()).find("second"), std::string::npos);
}

}  // namespace
}  // namespace weft
