// A run of train_sft on the fake device.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/gpu_under_test.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"
#include "trainer/learn/sft/train_sft_program.h"

namespace weft {
namespace {

class SftOnDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (test::the_gpu().device.library == nullptr) GTEST_SKIP() << test::the_gpu().reason;
    std::string lines;
    for (const char* target : {"def f(x): return x", "def f(x): return x + 1"}) {
      lines += dump_json({{"prompt", "a function"}, {"completion", target}}) + "\n";
    }
    write_file_atomically(dir_ / "data.jsonl", lines);
  }
  /// Two steps over every weight.
  void run(const std::string& out, const ComputeDevice& device) const {
    SftConfig config;
    config.model = test::fixture("tiny_llama").string();
    config.data.jsonl = (dir_ / "data.jsonl").string();
    config.out = (dir_ / out).string();
    config.dtype = "f32";
    config.learn.full_weights = true;
    config.epochs = 2;
    run_train_sft(config, /*resume=*/false, config_to_json(config), device);
  }
  std::vector<Json> metrics(const std::string& out) const {
    return test::read_json_lines(dir_ / out / "metrics.jsonl");
  }
  Json reasons(const std::string& out) const {
    return read_json_file(dir_ / out / "summary.json")["clock"]["reasons"];
  }

  test::TempDir dir_;
};

TEST_F(SftOnDevice, HasTheLossesOfTheCpuAndSaysThatItsBitsMayDiffer) {
  run("cpu", {});
  run("gpu", test::the_gpu().device);
  const auto expected = metrics("cpu"), got = metrics("gpu");
  ASSERT_EQ(expected.size(), 2u);
  ASSERT_EQ(got.size(), 2u);
  for (size_t i = 0; i < got.size(); ++i) {
    for (const char* key : {"loss", "grad_norm"}) {
      const double value = expected[i][key].get<double>();
      EXPECT_NEAR(got[i][key].get<double>(), value, 1e-4 * value) << key << " of step " << i + 1;
    }
  }
  EXPECT_EQ(reasons("cpu"), Json::array());
  EXPECT_EQ(reasons("gpu"), (Json{"gradients of attention on a GPU add up in no fixed order"}));
}

}  // namespace
}  // namespace weft
