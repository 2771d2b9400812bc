#include "model/engine/engine_options.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kTokenBytes = 56 << 10;  // of Qwen2.5-7B in bf16

TEST(EngineOptions, WhatIsLeftToTheDeviceDependsOnIt) {
  const EngineOptions cpu = EngineOptions().for_device(false, 20 * kGiB, kTokenBytes);
  EXPECT_EQ(cpu.max_batch, 64);
  EXPECT_EQ(cpu.kv_fraction, 0.2);
  const EngineOptions h200 = EngineOptions().for_device(true, 120 * kGiB, kTokenBytes);
  EXPECT_EQ(h200.max_batch, 256);
  EXPECT_EQ(h200.kv_bytes(120 * kGiB), 108 * kGiB);
  // 0.9 of 8 GiB are 134,816 tokens.
  EXPECT_EQ(EngineOptions().for_device(true, 8 * kGiB, kTokenBytes).max_batch, 131);
  EXPECT_EQ(EngineOptions().for_device(true, 0, kTokenBytes).max_batch, 1);
}

TEST(EngineOptions, WhatWasSetStays) {
  EngineOptions options;
  options.max_batch = 7;
  options.kv_fraction = 0.5;
  options.kv_mb = 100;
  for (const bool gpu : {false, true}) {
    const EngineOptions same = options.for_device(gpu, 8 * kGiB, kTokenBytes);
    EXPECT_EQ(same.max_batch, 7);
    EXPECT_EQ(same.kv_fraction, 0.5);
    EXPECT_EQ(same.kv_bytes(8 * kGiB), 100 << 20);
  }
  options.max_batch = 0;  // 100 MiB hold 1,828 tokens
  EXPECT_EQ(options.for_device(true, 8 * kGiB, kTokenBytes).max_batch, 1);
}

TEST(EngineOptions, ACacheIsNoLargerThanWhatTheDeviceHasLeft) {
  EngineOptions options;
  options.kv_mb = 100000000;
  EXPECT_EQ(test::input_error([&] { options.for_device(false, 8 * kGiB, kTokenBytes); }),
            "kv_mb: expected at most 8192, what is left of the device's memory in MiB, got "
            "100000000");
  options.kv_mb = 8192;
  EXPECT_EQ(options.for_device(true, 8 * kGiB, kTokenBytes).kv_mb, 8192);
}

TEST(EngineOptions, NumbersThatMakeNoSenseAreNamed) {
  const auto refuses = [](auto change) {
    EngineOptions options;
    change(options);
    EXPECT_THROW(options.validate(), InputError);
  };
  EXPECT_NO_THROW(EngineOptions().validate());
  refuses([](EngineOptions& o) { o.max_batch = -1; });
  refuses([](EngineOptions& o) { o.kv_fraction = -0.1; });
  refuses([](EngineOptions& o) { o.kv_fraction = 0.96; });
}

}  // namespace
}  // namespace weft
