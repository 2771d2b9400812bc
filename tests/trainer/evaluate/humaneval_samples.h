/// Samples of CodeGen-Mono-16B for 82 tasks of HumanEval, 100 for each (CodeT, arXiv:2207.10397),
/// which the folder of WEFT_TEST_DATA holds, scored by the real programs.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft::test {

inline size_t common_start(const std::string& a, const std::string& b) {
  return size_t(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

class HumanEvalSamples : public ::testing::Test {
 protected:
  void SetUp() override {
    data_ = reference_data();
    if (data_.empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
    const auto tasks = read_json_lines(data_ / "benchmarks/humaneval.jsonl");
    // The file gives prompts without their examples in place of ids.
    for (const Json& row : read_json_lines(data_ / "teacher/humaneval_codegen16b_even.jsonl.gz")) {
      const auto prompt = row["prompt"].get<std::string>();
      const auto like = [&](const Json& task) {
        return common_start(prompt, task["prompt"].get<std::string>());
      };
      const auto task = std::max_element(tasks.begin(), tasks.end(),
                                         [&](auto& a, auto& b) { return like(a) < like(b); });
      tasks_.push_back(*task);
      samples_.push_back(row["samples"]);
    }
  }

  /// The report over the first samples of every `stride`-th task.
  Json score(size_t num_samples, size_t stride) {
    std::ofstream tasks(dir_ / "humaneval.jsonl"), samples(dir_ / "s.jsonl");
    for (size_t i = 0; i < tasks_.size(); i += stride) {
      tasks << dump_json(tasks_[i]) << "\n";
      for (size_t s = 0; s < num_samples; ++s) {
        samples << dump_json({{"task_id", tasks_[i]["task_id"]}, {"completion", samples_[i][s]}})
                << "\n";
      }
    }
    tasks.close();
    samples.close();
    const auto prepared =
        run_program({program("prepare_tasks").string(), "--dataset", "humaneval", "--in",
                     (dir_ / "humaneval.jsonl").string(), "--out", (dir_ / "tasks.jsonl").string()},
                    "", 600);
    EXPECT_EQ(prepared.exit_code, 0) << prepared.err;
    const auto run =
        run_program({program("evaluate").string(), "--tasks", (dir_ / "tasks.jsonl").string(),
                     "--out", (dir_ / "run").string(), "--set",
                     "methods=[\"samples:" + (dir_ / "s.jsonl").string() + "\"]"},
                    "", 3000);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return read_json_file(dir_ / "run/report.json")["methods"][0];
  }

  static double pass_at(const Json& method, const char* k) {
    return method["pass_at_k"][k]["score"].get<double>();
  }

  std::filesystem::path data_;
  std::vector<Json> tasks_, samples_;
  TempDir dir_;
};

}  // namespace weft::test
