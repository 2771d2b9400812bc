// What train_grpo refuses before it works, and its plan of the memory.
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "base/file.h"
#include "base/json.h"
#include "model/checkpoint/hf_model.h"
#include "tests/support/support.h"
#include "tests/trainer/learn/grpo/train_grpo_support.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;

class TrainGrpo : public testing::Test {
 protected:
  Words command(const std::string& out, Words more = {}) const {
    const std::string tasks = (test::source_dir() / "data/builtin/train.jsonl").string();
    const std::string validation = (test::source_dir() / "data/builtin/validation.jsonl").string();
    Words result = {test::program("train_grpo"), "--out", dir_ / out};
    for (const std::string& set :
         {"model=" + test::fixture("tiny_llama").string(), "tasks=[\"" + tasks + "\"]",
          "validation.tasks=[\"" + validation + "\"]", std::string("validation.num_prompts=2"),
          std::string("validation.samples=2"), std::string("dtype=f32"), std::string("steps=4"),
          std::string("prompts_per_step=2"), std::string("samples_per_prompt=2"),
          std::string("max_completion_tokens=24"), std::string("engine.kv_mb=16"),
          std::string("sandbox_slots=1"), std::string("checkpoint.every_steps=1")}) {
      result.push_back("--set");
      result.push_back(set);
    }
    result.insert(result.end(), more.begin(), more.end());
    return result;
  }

  std::string adapter_without_weights() const {
    fs::create_directories(dir_ / "adapter");
    write_file_atomically(dir_ / "adapter" / "adapter_config.json", "{}");
    return (dir_ / "adapter").string();
  }

  fs::path model_with_a_nan() const {
    const fs::path path = dir_ / "nan";
    if (fs::exists(path)) return path;
    const std::string source = test::fixture("tiny_llama");
    const auto model = load_transformer(source, at::kFloat);
    for (const auto& [name, tensor] : model->hugging_face_views()) {
      if (name == "model.layers.1.mlp.up_proj.weight") {
        tensor[3][4] = std::numeric_limits<double>::quiet_NaN();
      }
    }
    save_transformer(*model, source, path);
    return path;
  }

  /// A task file whose only task has no val tests.
  std::string tasks_without_rewards() const {
    write_file_atomically(dir_ / "unrewarded.jsonl",
                          R"({"id":"a","dataset":"jsonl","kind":"code","prompt":"?",)"
                          R"("entry_point":"f","tests":{"public":[{"args":[1],"expected":2}]}})");
    return (dir_ / "unrewarded.jsonl").string();
  }

  test::TempDir dir_;
};

// Prompts of the built-in tasks have lengths of all kinds; learn.share_prompts is left as it is.
// The random model writes nothing to learn from: its logprobs are compared all the same.
TEST_F(TrainGrpo, DecodesWithTheBitsThatItTrainsOn) {
  for (const char* dtype : {"f32", "bf16"}) {
    for (const char* temperature : {"1", "0.8"}) {
      const std::string out = std::string(dtype) + temperature;
      const auto run =
          test::run_program(command(out, {"--set", "dtype=" + std::string(dtype), "--set",
                                          "temperature=" + std::string(temperature), "--set",
                                          "steps=2", "--set", "prompts_per_step=4", "--set",
                                          "samples_per_prompt=4", "--set", "validation.tasks=[]"}));
      ASSERT_EQ(run.exit_code, 1) << run.err;
      EXPECT_NE(run.err.find("logprobs of decoding, of given ids and of training agree to the bit"),
                std::string::npos)
          << run.err;
      const auto steps = test::read_json_lines(dir_ / out / "metrics.jsonl");
      ASSERT_EQ(steps.size(), 2u);
      for (const Json& step : steps) {
        EXPECT_EQ(step["mismatch_max"], 0) << out;
        EXPECT_EQ(step["mismatch_mean"], 0) << out;
      }
    }
  }
}

TEST_F(TrainGrpo, RefusesAConfigThatCannotWork) {
  const struct {
    Words more;
    const char* expected;
  } cases[] = {
      {{"--set", "learn.full_weights=true"}, "worker.model"},
      {{"--set", "reference=init"}, "init_adapter"},
      {{"--set", "samples_per_prompt=1"}, "samples_per_prompt: expected >= 2, got 1"},
      {{"--set", "lost_rollouts.max_share=2"}, "max_share"},
      {{"--set", "model=" + model_with_a_nan().string()},
       "model.layers.1.mlp.up_proj.weight holds values that are not finite"},
      {{"--set", "update.loss.clip_low=2"}, "clip_low"},
      {{"--set", "method=ppo"}, "dr_grpo"},
      {{"--set", "method=gspo", "--set", "update.loss.ratio=token"},
       "update.loss.ratio: expected sequence with method = gspo"},
      {{"--set", "update.loss.kl=k1", "--set", "update.loss.kl_coefficient=0.1"},
       "k1 as a loss has the expected gradient 0"},
      {{"--set", "tasks=[]"}, "tasks"},
      {{"--set", "tasks=[\"" + (dir_ / "nothing").string() + "\"]"}, "nothing"},
      {{"--set", "tasks=[\"" + tasks_without_rewards() + "\"]"}, "\"a\" has no val tests"},
      {{"--set", "validation.tasks=[\"" + tasks_without_rewards() + "\"]"}, "no val tests"},
      {{"--set", "engine.max_context=8"}, "task \""},
      {{"--set", "exact=true", "--set", "engine.kv_mb=0"}, "kv_mb"},
      {{"--set", "worker.model=" + adapter_without_weights()}, "worker.model"},
      {{"--set", "wrker.kind=remote"}, "wrker"},
      {{"--set", "device=cuda"}, "cuda"},
      {{"--set", "dtype=int8"}, "rounded weights have no gradient"},
      {{"--set", "worker.dtype=int4"}, "worker: dtype"},
  };
  for (const auto& c : cases) {
    const auto run = test::run_program(command("bad", c.more));
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_NE(run.err.find(c.expected), std::string::npos) << run.err;
  }
}

TEST_F(TrainGrpo, TheResolvedConfigShowsWhatAMethodSets) {
  const auto resolved = [&](const Words& sets) {
    Words words = {test::program("train_grpo"),
                   "--dry-run",
                   "--set",
                   "plan.gpu=h200",
                   "--set",
                   "model=" + test::fixture("tiny_llama").string()};
    for (const auto& set : sets) words.insert(words.end(), {"--set", set});
    const auto run = test::run_program(words);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return parse_json(run.out, "dry run")["config"];
  };
  const Json custom = resolved({}), dapo = resolved({"update.loss.clip_high=0.3", "method=dapo"});
  EXPECT_EQ(custom["method"], "custom");
  EXPECT_EQ(custom["refill_rounds"], 0);
  EXPECT_EQ(dapo["refill_rounds"], 10);
  EXPECT_EQ(dapo["update"]["overlong_share"], .2);
  EXPECT_EQ(dapo["update"]["loss"]["clip_low"], .2);
  EXPECT_EQ(dapo["update"]["loss"]["clip_high"], .3);
  EXPECT_EQ(resolved({"method=dapo", "refill_rounds=3"})["refill_rounds"], 3);
}

TEST_F(TrainGrpo, DryRunNamesEverythingThatKeepsARunFromStarting) {
  const Words here = {test::program("train_grpo"),
                      "--dry-run",
                      "--set",
                      "tasks=[\"nowhere.jsonl\"]",
                      "--set",
                      "worker.kind=remote",
                      "--set",
                      "worker.remote.api_key_env=WEFT_TEST_NO_SUCH_KEY",
                      "--set",
                      "worker.remote.base_url=http://127.0.0.1:9/v1",
                      "--set",
                      "worker.remote.model=w",
                      "--set",
                      "model_shape=" + test::fixture("tiny_llama/config.json").string()};
  const auto run = test::run_program(here);
  EXPECT_EQ(run.exit_code, 2);
  const char* const problems[] = {
      "model: expected a model folder, got nothing", "out: expected a folder for the run",
      "tasks: expected a file, got nowhere.jsonl, which is not there",
      "expected the environment variable WEFT_TEST_NO_SUCH_KEY to be set, it is not"};
  for (const char* problem : problems) {
    EXPECT_NE(run.err.find(problem), std::string::npos) << problem << "\n" << run.err;
  }
  Words elsewhere = here;
  elsewhere.insert(elsewhere.end(), {"--set", "plan.gpu=h200"});
  const auto plan = test::run_program(elsewhere);
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_EQ(parse_json(plan.out, "dry run")["missing"].size(), std::size(problems)) << plan.out;
}

TEST_F(TrainGrpo, DryRunPlansTheMemoryOfTheNamedShapes) {
  std::ofstream(dir_ / "config.json") << R"({"architectures": ["Qwen2ForCausalLM"],
      "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944,
      "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
      "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 10000,
      "tie_word_embeddings": false, "vocab_size": 152064, "eos_token_id": 151643,
      "torch_dtype": "bfloat16"})";
  const auto run = test::run_program({test::program("train_grpo"), "--dry-run", "--set",
                                      "model_shape=" + (dir_ / "config.json").string(), "--set",
                                      "engine.kv_mb=8192", "--set", "plan.gpu=h200"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json plan = parse_json(run.out, "dry run")["memory_plan"];
  EXPECT_NEAR(plan["weights"].get<double>(), 15.2e9, .1e9);
  EXPECT_EQ(plan["kv_cache"].get<int64_t>(), int64_t{8192} << 20);
  EXPECT_EQ(plan["frozen_copies"], 0);
  // This machine's memory is of no account.
  EXPECT_EQ(run.out.find("memory: the run needs"), std::string::npos) << run.out;
}

}  // namespace
}  // namespace weft
