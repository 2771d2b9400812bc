// What scripts/gpu_check.sh measures with, on the emulated GPU.
#include "bench/gpu/gpu_check.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "model/ops/tensor_device.h"
#include "model/transformer/transformer.h"
#include "tests/support/emulated_gpu.h"
#include "tests/support/support.h"

namespace weft {
namespace {

ComputeDevice emulated() { return {&test::emulated_gpu(), 0}; }

TransformerConfig small_shape() { return qwen2_shape(1, 64, 96, 4, 2, 512); }

TEST(GpuCheck, ParityHoldsAndKnowsItsBound) {
  const Json good = check_parity(emulated(), "small", small_shape(), at::kFloat, 1e-4);
  EXPECT_TRUE(good["ok"].get<bool>()) << good.dump();
  EXPECT_GT(good["largest_logit"].get<double>(), 0.1);
  const Json rounded = check_parity(emulated(), "small", small_shape(), at::kBFloat16, 1e-6);
  EXPECT_FALSE(rounded["ok"].get<bool>()) << rounded.dump();
}

// A pass reads every weight but the embedding, and of each sequence 2 heads x 16 keys and values.
TEST(GpuCheck, RooflineCountsWeightsAndContext) {
  const auto model = Transformer::random(small_shape(), at::kFloat, 1);
  model->to(tensor_device(emulated()));
  const double bandwidth = 1e9;
  const Json got = measure_decode(emulated(), *model, {"small", 3, 1e12}, /*context=*/20,
                                  /*passes=*/4, bandwidth);
  const double weights = 4.0 * static_cast<double>(small_shape().num_parameters() - 512 * 64);
  const double context = 20 + 3 + 2.5;
  EXPECT_EQ(got["mean_context"].get<double>(), context);
  EXPECT_NEAR(got["gb_per_pass"].get<double>() * 1e9, weights + 3 * context * 2 * 2 * 16 * 4, 1);
  const double seconds = got["ms_per_pass"].get<double>() / 1e3;
  EXPECT_NEAR(got["tokens_per_s"].get<double>() * seconds, 3, 1e-6);
  EXPECT_NEAR(got["share_of_measured_roofline"].get<double>(),
              got["gb_per_pass"].get<double>() * 1e9 / bandwidth / seconds, 1e-6);
  EXPECT_FALSE(got["reached"].get<bool>());
}

TEST(GpuCheck, MixedLengthsHaveTheSameMeanAndPricesAreOfPasses) {
  const auto model = Transformer::random(small_shape(), at::kFloat, 1);
  model->to(tensor_device(emulated()));
  const auto measured = [&](const DecodeCase& which) {
    return measure_decode(emulated(), *model, which, /*context=*/20, /*passes=*/4, 1e9);
  };
  const DecodeCase plain{"small", 4}, mixed{"small", 4, 0, true, 0.95f, true};
  EXPECT_EQ(mixed.contexts(20), (std::vector<int64_t>{5, 15, 25, 35}));
  const Json a = measured(plain), b = measured(mixed);
  EXPECT_EQ(a["mean_context"], b["mean_context"]);
  EXPECT_EQ(a["gb_per_pass"], b["gb_per_pass"]);
  EXPECT_DOUBLE_EQ(price("mixed", b, a)["ratio"].get<double>(),
                   b["ms_per_pass"].get<double>() / a["ms_per_pass"].get<double>());
  DecodeCase one_long = plain;
  one_long.long_context = 220;
  const Json c = measured(one_long);
  const Json long_price = price_of_long(c, a, /*bandwidth=*/1e9);
  EXPECT_NEAR(long_price["copy_ms"].get<double>() * 1e6, 200 * 2 * 2 * 16 * 4, 1e-6);
  EXPECT_EQ(long_price["ok"].get<bool>(), long_price["ratio"].get<double>() <= 1.3);
}

TEST(GpuCheck, DirectoriesOpenOnBothDevices) {
  const Json got = check_directory(emulated(), test::fixture("tiny_llama").string());
  EXPECT_TRUE(got["ok"].get<bool>());
  EXPECT_EQ(got["ids"].size(), 24u);
}

TEST(GpuCheck, PrefillAndCopyGiveRates) {
  const auto model = Transformer::random(small_shape(), at::kFloat, 1);
  model->to(tensor_device(emulated()));
  for (const int64_t before : {0, 33}) {
    const Json got = measure_prefill(emulated(), *model, "small", 20, before);
    EXPECT_GT(got["tokens_per_s"].get<double>(), 0);
    EXPECT_EQ(got["before"], before);
  }
  EXPECT_GT(copy_bandwidth(emulated(), 1 << 20), 0);
}

TEST(GpuCheck, SumsUpTestsAndNamesWhatFailed) {
  const test::TempDir dir;
  write_file_atomically(dir / "a.json", R"({"tests": 3, "testsuites": [{"name": "Suite",
      "testsuite": [{"name": "Passes", "result": "COMPLETED"},
                    {"name": "Waits", "result": "SKIPPED"},
                    {"name": "Breaks", "failures": [{"failure": "got 3"}]}]}]})");
  const Json sum = test_summary((dir / "a.json").string());
  EXPECT_EQ(sum["tests"].get<int>(), 3);
  EXPECT_EQ(sum["skipped"].get<int>(), 1);
  EXPECT_EQ(sum["failed"][0]["name"].get<std::string>(), "Suite.Breaks");
  EXPECT_EQ(sum["failed"][0]["message"].get<std::string>(), "got 3");
  EXPECT_FALSE(sum["ok"].get<bool>());
  EXPECT_FALSE(test_summary((dir / "b.json").string())["ok"].get<bool>());
}

TEST(GpuCheck, WithoutAGpuTheReportSaysSo) {
  if (std::filesystem::exists("/proc/driver/nvidia/version")) {
    GTEST_SKIP() << "this machine has an NVIDIA driver";
  }
  const test::TempDir dir;
  GpuCheckOptions options;
  options.out = (dir / "report.json").string();
  EXPECT_THROW(run_gpu_check(options), InputError);
  const Json report = read_json_file(options.out);
  EXPECT_TRUE(report["gpu"].is_null());
  EXPECT_FALSE(report["ok"].get<bool>());
  EXPECT_NE(report["reason"].get<std::string>().find("no NVIDIA driver"), std::string::npos);
}

}  // namespace
}  // namespace weft
