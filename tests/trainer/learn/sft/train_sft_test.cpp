// train_sft as a program, on the tiny model of tests/fixtures.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <functional>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"
#include "tests/trainer/learn/run/dated_model.h"
#include "tests/trainer/learn/run/spoilt_model.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;

class TrainSft : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream lines(dir_ / "data.jsonl");
    for (int i = 0; i < 24; ++i) {
      const std::string n = std::to_string(i % 6);
      lines << dump_json({{"messages",
                           {{{"role", "user"}, {"content", "add " + n}},
                            {{"role", "assistant"}, {"content", "def f(x): return x + " + n}}}}})
            << "\n";
    }
  }

  Words command(const std::string& out, Words more = {}) const {
    Words result = {test::program("train_sft"),
                    "--set",
                    "model=" + test::fixture("tiny_llama").string(),
                    "--out",
                    dir_ / out,
                    "--set",
                    "data.jsonl=" + (dir_ / "data.jsonl").string(),
                    "--set",
                    "dtype=f32",
                    "--set",
                    "learn.schedule.lr=0.01",
                    "--set",
                    "epochs=4",
                    "--set",
                    "sequences_per_step=5",
                    "--set",
                    "learn.tokens_per_microbatch=128"};
    result.insert(result.end(), more.begin(), more.end());
    return result;
  }

  std::vector<Json> metrics(const std::string& out) const { return lines_of(out, "metrics.jsonl"); }

  std::vector<Json> lines_of(const std::string& out, const std::string& file) const {
    return test::read_json_lines(dir_ / out / file);
  }

  /// What must be equal to the bit between two runs.
  void expect_same_run(const std::string& a, const std::string& b, const std::string& file) {
    EXPECT_EQ(read_file(dir_ / a / "final" / file), read_file(dir_ / b / "final" / file));
    const auto left = metrics(a), right = metrics(b);
    ASSERT_EQ(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i) {
      for (const char* key : {"step", "loss", "lr", "grad_norm", "tokens"}) {
        EXPECT_EQ(left[i][key], right[i][key]) << key << " of step " << i + 1;
      }
    }
  }

  test::TempDir dir_;
};

constexpr const char* kAdapter = "adapter_model.safetensors";
constexpr const char* kModel = "model.safetensors";

TEST_F(TrainSft, LowersTheLossAndLeavesWhatContractsPromise) {
  const auto run = test::run_program(command("run"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto lines = metrics("run");
  ASSERT_EQ(lines.size(), 20u);  // 4 epochs of 24 examples, 5 a step
  for (const char* key : {"step", "loss", "lr", "grad_norm", "tokens", "tokens_per_s"}) {
    EXPECT_TRUE(lines[0].contains(key)) << key;
  }
  EXPECT_EQ(lines.front()["step"], 1);
  EXPECT_EQ(lines.back()["step"], 20);
  EXPECT_LT(lines.back()["loss"].get<double>(), lines.front()["loss"].get<double>() / 2);
  EXPECT_TRUE(fs::exists(dir_ / "run" / "checkpoints" / "step_20" / kAdapter));
  EXPECT_TRUE(fs::exists(dir_ / "run" / "final" / "adapter_config.json"));
  EXPECT_FALSE(fs::exists(dir_ / "run" / "final" / "trainer"));
  const Json summary = read_json_file(dir_ / "run" / "summary.json");
  EXPECT_EQ(summary["step"], 20);
  EXPECT_GT(summary["trained_tokens"].get<int64_t>(), 0);
  EXPECT_EQ(summary["clock"], (Json{{"reasons", Json::array()}, {"decisions", 0}}));
  EXPECT_EQ(run.out, "");
}

TEST_F(TrainSft, NamesATemplateThatWritesTheDateWhereItLaysExamplesOut) {
  const std::string model = test::copy_with_a_date(test::fixture("tiny_llama"), dir_ / "dated");
  std::ofstream(dir_ / "plain.jsonl") << R"({"prompt": "add 1", "completion": "def f(x):"})";
  const Words sets = {"--set", "model=" + model, "--set", "max_steps=1"};
  Words plain = sets;
  plain.insert(plain.end(), {"--set", "data.jsonl=" + (dir_ / "plain.jsonl").string()});
  ASSERT_EQ(test::run_program(command("messages", sets)).exit_code, 0);
  ASSERT_EQ(test::run_program(command("plain", plain)).exit_code, 0);
  const auto reasons = [&](const char* out) {
    return read_json_file(dir_ / out / "summary.json")["clock"]["reasons"];
  };
  EXPECT_EQ(reasons("messages"), Json{"the chat template of " + model + " writes the date"});
  EXPECT_TRUE(reasons("plain").empty());
}

TEST_F(TrainSft, ResumesBitForBitAfterAnEarlierEnd) {
  for (const bool full : {false, true}) {
    const std::string weights = full ? "full" : "lora";
    const Words common = {"--set", "learn.full_weights=" + std::string(full ? "true" : "false")};
    ASSERT_EQ(test::run_program(command(weights + "_straight", common)).exit_code, 0);
    Words part = common;
    part.insert(part.end(), {"--set", "max_steps=7"});
    ASSERT_EQ(test::run_program(command(weights + "_parts", part)).exit_code, 0);
    Words rest = common;
    rest.push_back("--resume");
    const auto run = test::run_program(command(weights + "_parts", rest));
    ASSERT_EQ(run.exit_code, 0) << run.err;
    expect_same_run(weights + "_straight", weights + "_parts", full ? kModel : kAdapter);
  }
}

TEST_F(TrainSft, KilledOrStoppedRunsResumeToTheSameBits) {
  const Words longer = {"--set", "epochs=24", "--set", "checkpoint.every_steps=10"};
  ASSERT_EQ(test::run_program(command("straight", longer)).exit_code, 0);
  for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
    const std::string out = "signal_" + std::to_string(signal);
    test::BackgroundProgram program(command(out, longer), dir_ / (out + ".log"));
    test::wait_until([&] { return test::count_lines(dir_ / out / "metrics.jsonl") >= 25; });
    program.signal(signal);
    EXPECT_EQ(program.wait(), 128 + signal);
    if (signal != SIGKILL) {
      const auto steps = std::to_string(test::count_lines(dir_ / out / "metrics.jsonl"));
      EXPECT_EQ(read_file(dir_ / out / "checkpoints" / "latest"), "step_" + steps + "\n");
    }
    Words resume = longer;
    resume.push_back("--resume");
    const auto run = test::run_program(command(out, resume));
    ASSERT_EQ(run.exit_code, 0) << run.err;
    expect_same_run("straight", out, kAdapter);
  }
}

// One microbatch a step: what is between two of them is no moment to wait for.
TEST_F(TrainSft, AStopInTheMiddleOfAMicrobatchDropsTheStep) {
  const auto struck = [&](int64_t call, const std::string& out, const Words& more) {
    Words words = command(out, more);
    words[0] = test::program("struck_train_sft");
    words.insert(words.begin() + 1, std::to_string(call));
    return test::run_program(words);
  };
  for (const bool full : {false, true}) {
    const std::string name = full ? "full" : "lora";
    const Words sets = {"--set", "epochs=5",
                        "--set", "sequences_per_step=24",
                        "--set", "learn.tokens_per_microbatch=4096",
                        "--set", "learn.full_weights=" + std::string(full ? "true" : "false")};
    const auto straight = struck(0, name, sets);
    ASSERT_EQ(straight.exit_code, 0) << straight.err;
    ASSERT_EQ(metrics(name).size(), 5u);
    const int64_t calls = std::stoll(straight.out) / 5;  // of a step
    ASSERT_EQ(calls, full ? 2 : 1);                      // the embedding's last
    for (const int64_t step : {1, 4}) {
      const std::string out = name + std::to_string(step);
      const auto stopped = struck((step - 1) * calls + 1, out, sets);
      ASSERT_EQ(stopped.exit_code, 128 + SIGTERM) << stopped.err;
      EXPECT_EQ(std::ssize(metrics(out)), step - 1);
      EXPECT_EQ(read_file(dir_ / out / "checkpoints" / "latest"),
                "step_" + std::to_string(step - 1) + "\n");
      Words rest = sets;
      rest.push_back("--resume");
      const auto run = test::run_program(command(out, rest));
      ASSERT_EQ(run.exit_code, 0) << run.err;
      expect_same_run(name, out, full ? kModel : kAdapter);
    }
  }
}

TEST_F(TrainSft, KeepsOnlyTheNewestCheckpoints) {
  const auto run = test::run_program(
      command("run", {"--set", "checkpoint.every_steps=3", "--set", "checkpoint.keep=2"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir_ / "run" / "checkpoints")) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (Words{"step_18", "step_20"}));
}

TEST_F(TrainSft, RefusesADirectoryThatHoldsARun) {
  ASSERT_EQ(test::run_program(command("run", {"--set", "max_steps=1"})).exit_code, 0);
  const auto again = test::run_program(command("run", {"--set", "max_steps=1"}));
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_NE(again.err.find("--resume"), std::string::npos) << again.err;
}

// Each row: what is changed under a run of two steps, and the name that the refusal gives it.
TEST_F(TrainSft, ResumesWithNothingElseThanItBeganWith) {
  const fs::path model = dir_ / "model";
  const auto copy_model = [&] {
    fs::remove_all(model);
    fs::copy(test::fixture("tiny_llama"), model);
  };
  const auto append = [&](const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::app) << text;
  };
  const auto flip_last_byte = [](const fs::path& path) {
    std::string bytes = read_file(path);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    write_file_atomically(path, bytes);
  };
  const Words base = {"--set", "model=" + model.string(), "--set", "learn.schedule.decay=cosine",
                      "--set", "checkpoint.every_steps=1"};
  const struct {
    const char* name;
    std::function<void()> change;
    Words more;
  } cases[] = {
      {"data",
       [&] { append(dir_ / "data.jsonl", "{\"prompt\":\"a\",\"completion\":\"b\"}\n"); },
       {}},
      {"model", [&] { flip_last_byte(model / "model.safetensors"); }, {}},
      {"model", [&] { append(model / "config.json", " "); }, {}},
      {"tokenizer", [&] { append(model / "tokenizer.json", " "); }, {}},
      {"chat_template", [&] { append(model / "chat_template.jinja", "x"); }, {}},
      {"epochs", [] {}, {"--set", "epochs=5"}},
      {"max_steps", [] {}, {"--set", "max_steps=3"}},
  };
  int number = 0;
  for (const auto& c : cases) {
    const std::string out = "run" + std::to_string(number++);
    SetUp();
    copy_model();
    Words first = base, again = base;
    first.insert(first.end(), {"--set", "max_steps=2"});
    ASSERT_EQ(test::run_program(command(out, first)).exit_code, 0);
    const std::string before = read_file(dir_ / out / "config.json");
    c.change();
    again.insert(again.end(), {"--set", "max_steps=2", "--resume"});
    again.insert(again.end(), c.more.begin(), c.more.end());
    const auto refused = test::run_program(command(out, again));
    EXPECT_EQ(refused.exit_code, 2) << c.name << refused.err;
    EXPECT_NE(refused.err.find("cannot resume, \"" + std::string(c.name) + "\" differs"),
              std::string::npos)
        << refused.err;
    EXPECT_EQ(read_file(dir_ / out / "config.json"), before);
    again.insert(again.end(), {"--set", "resume.allow=[\"" + std::string(c.name) + "\"]"});
    const auto taken = test::run_program(command(out, again));
    EXPECT_NE(taken.exit_code, 2) << c.name << taken.err;
  }
}

TEST_F(TrainSft, SaysWhatIsWrongWithItsInput) {
  const std::string tasks = (test::source_dir() / "data/builtin/train.jsonl").string();
  std::ofstream(dir_ / "bad.jsonl") << "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\n";
  const struct {
    Words more;
    const char* expected;
  } cases[] = {
      {{"--set", "data.jsonl=" + (dir_ / "bad.jsonl").string()}, "bad.jsonl"},
      {{"--set", "learn.schedule.lr=-1"}, "learn.schedule"},
      {{"--set", "learn.schedule.lr=100"}, "expected a number in [0, 1], got 100"},
      {{"--set", "learn.schedule.warmup_steps=21"}, "at most the run's 20 steps, got 21"},
      {{"--set", "learn.lora.alpha=-3"}, "lora.alpha: expected a number > 0"},
      {{"--set", "learn.lora.rank=100000"}, "lora.rank: expected at most the model's hidden size"},
      {{"--set", "learn.adamw.eps=0"}, "eps: expected a number in (0, 1]"},
      {{"--set", "learn.lora.targets=[\"no_proj\"]"}, "no_proj"},
      {{"--set", "data.jsonl="}, "store"},
      {{"--set", "data.jsonl=", "--set", "data.tasks=[\"" + tasks + "\"]", "--set",
        "data.store=" + (dir_ / "typo.sqlite").string()},
       "typo.sqlite: expected a trajectory store"},
      {{"--set", "model=" + (dir_ / "nothing").string()}, "nothing"},
      {{"--set", "data.max_tokens=3"}, "max_tokens"},
      {{"--set", "dtype=int8"}, "rounded weights have no gradient"},
  };
  for (const auto& c : cases) {
    const auto run = test::run_program(command("bad", c.more));
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_NE(run.err.find(c.expected), std::string::npos) << run.err;
  }
  EXPECT_FALSE(fs::exists(dir_ / "typo.sqlite"));
}

// peft and others look for the base from wherever they run.
TEST_F(TrainSft, AnAdapterNamesItsBaseByAbsolutePathOrByItsHubName) {
  const fs::path base = test::fixture("tiny_llama");
  const std::string relative = fs::relative(base).string();
  const auto named = [&](const std::string& out) {
    const fs::path adapter = dir_ / out / "final" / "adapter_config.json";
    return read_json_file(adapter)["base_model_name_or_path"].get<std::string>();
  };
  auto run =
      test::run_program(command("run", {"--set", "max_steps=1", "--set", "model=" + relative}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(named("run"), base.lexically_normal().string());
  run = test::run_program(
      command("hub", {"--set", "max_steps=1", "--set", "checkpoint.base_model_name=someone/tiny"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(named("hub"), "someone/tiny");
}

TEST_F(TrainSft, DryRunRefusesARankAboveTheHiddenSize) {
  const auto run =
      test::run_program({test::program("train_sft"), "--dry-run", "--set",
                         "model_shape=" + test::fixture("tiny_llama/config.json").string(), "--set",
                         "learn.lora.rank=100000"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err.find("lora.rank"), std::string::npos) << run.err;
}

/// A model of untied embeddings in which one token's row is NaN, and examples of which only one
/// holds that token.
class TrainSftOnABadExample : public TrainSft {
 protected:
  void SetUp() override {
    TrainSft::SetUp();
    test::copy_with_a_nan_row(test::fixture("tiny_mistral"), dir_ / "model", "~");
    std::ofstream lines(dir_ / "bad.jsonl");
    for (int i = 0; i < 12; ++i) {
      const std::string target = i == 7 ? "~ seven" : "number " + std::to_string(i);
      lines << dump_json({{"prompt", "count"}, {"completion", target}}) << "\n";
    }
  }

  Words on_bad(const std::string& out, const Words& more = {}) const {
    Words words = command(out, {"--set", "model=" + (dir_ / "model").string(), "--set",
                                "data.jsonl=" + (dir_ / "bad.jsonl").string()});
    for (const auto& set : more) words.insert(words.end(), {"--set", set});
    if (fs::exists(dir_ / out / "config.json")) words.push_back("--resume");
    return words;
  }
};

TEST_F(TrainSftOnABadExample, LeavesItOutNamesItAndLearnsFromTheOthers) {
  const auto run = test::run_program(on_bad("run"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("tensor model.embed_tokens.weight holds values that are not finite"),
            std::string::npos);
  const auto skipped = lines_of("run", "skipped_examples.jsonl");
  ASSERT_EQ(skipped.size(), 1u);  // in four epochs
  EXPECT_NE(skipped[0]["completion"].get<std::string>().find("~ seven"), std::string::npos);
  EXPECT_EQ(skipped[0]["prompt"].get<std::string>().find("~"), std::string::npos);
  const Json summary = read_json_file(dir_ / "run" / "summary.json");
  EXPECT_EQ(summary["skipped_examples"], (Json{skipped[0]["example"]}));
  EXPECT_EQ(summary["skipped_steps"], 0);
  const auto step = skipped[0]["step"].get<int64_t>();
  const std::string name = "step_" + std::to_string(step) + ".json";
  const Json batch = read_json_file(dir_ / "run" / "non_finite" / name);
  EXPECT_EQ(batch["step"], step);
  EXPECT_EQ(batch["sequences"].size(), 5u);
  const std::string tensor = batch["tensor"];
  EXPECT_TRUE(tensor.starts_with("layers.0.")) << tensor;
  const std::string said = "step " + std::to_string(step) + ": the gradient of " + tensor;
  EXPECT_NE(run.err.find(said), std::string::npos) << run.err;
  for (const Json& line : metrics("run")) {
    EXPECT_EQ(line["skipped"], 0);
    EXPECT_TRUE(line["loss"].is_number());
    EXPECT_TRUE(line["grad_norm"].is_number());
  }
}

TEST_F(TrainSftOnABadExample, StaysLeftOutAfterAResume) {
  ASSERT_EQ(test::run_program(on_bad("straight")).exit_code, 0);
  ASSERT_EQ(test::run_program(on_bad("parts", {"max_steps=4"})).exit_code, 0);
  ASSERT_EQ(test::run_program(on_bad("parts")).exit_code, 0);
  expect_same_run("straight", "parts", kAdapter);
  EXPECT_EQ(read_file(dir_ / "straight" / "skipped_examples.jsonl"),
            read_file(dir_ / "parts" / "skipped_examples.jsonl"));
}

TEST_F(TrainSftOnABadExample, AStepWhoseLinesCannotBeWrittenIsSavedWithThem) {
  ASSERT_EQ(test::run_program(on_bad("straight")).exit_code, 0);
  fs::create_directories(dir_ / "cut");
  fs::create_symlink(dir_ / "nowhere" / "rows", dir_ / "cut" / "skipped_examples.jsonl");
  const auto failed = test::run_program(on_bad("cut"));
  EXPECT_EQ(failed.exit_code, 1) << failed.err;
  EXPECT_NE(failed.err.find("skipped_examples.jsonl"), std::string::npos) << failed.err;
  const auto step = lines_of("straight", "skipped_examples.jsonl")[0]["step"].get<int64_t>();
  EXPECT_EQ(read_file(dir_ / "cut" / "checkpoints" / "latest"),
            "step_" + std::to_string(step) + "\n");
  EXPECT_EQ(metrics("cut").size(), static_cast<size_t>(step - 1));
  fs::remove(dir_ / "cut" / "skipped_examples.jsonl");
  ASSERT_EQ(test::run_program(on_bad("cut")).exit_code, 0);
  expect_same_run("straight", "cut", kAdapter);
  EXPECT_EQ(read_file(dir_ / "straight" / "skipped_examples.jsonl"),
            read_file(dir_ / "cut" / "skipped_examples.jsonl"));
}

TEST_F(TrainSftOnABadExample, MoreThanTheLimitEndTheRun) {
  const auto run = test::run_program(on_bad("run", {"max_skipped_examples=0"}));
  EXPECT_EQ(run.exit_code, 1) << run.err;
  EXPECT_NE(run.err.find("max_skipped_examples is 0"), std::string::npos) << run.err;
  EXPECT_FALSE(fs::exists(dir_ / "run" / "final"));
}

TEST_F(TrainSftOnABadExample, ARunWithoutAnyOtherLearnsNothingAndFails) {
  std::ofstream(dir_ / "bad.jsonl")
      << dump_json({{"prompt", "count"}, {"completion", "~"}}) << "\n";
  for (int i = 0; i < 2; ++i) {  // resumed when it is done, it is still one
    const auto run = test::run_program(on_bad("run"));
    EXPECT_EQ(run.exit_code, 1) << run.err;
    EXPECT_NE(run.err.find("no update in 4 steps"), std::string::npos) << run.err;
    EXPECT_NE(run.err.find("1 of 1 examples left out"), std::string::npos) << run.err;
    EXPECT_FALSE(fs::exists(dir_ / "run" / "final"));
  }
  for (const Json& line : metrics("run")) {
    for (const char* key : {"loss", "grad_norm", "tokens_per_s"}) {
      EXPECT_TRUE(line[key].is_null() || line["step"] == 1) << key;
    }
    EXPECT_TRUE(line["loss"].is_null());
    EXPECT_EQ(line["skipped"], 1);
  }
}

TEST_F(TrainSft, KeepsTheLinesOfStepsThatAResumeDoesAgain) {
  ASSERT_EQ(test::run_program(
                command("run", {"--set", "checkpoint.every_steps=4", "--set", "checkpoint.keep=9"}))
                .exit_code,
            0);
  const auto before = metrics("run");
  fs::remove_all(dir_ / "run" / "checkpoints" / "step_20");
  std::ofstream(dir_ / "run" / "metrics.jsonl", std::ios::app) << "{\"step\": 21, \"lo";
  const auto resumed = test::run_program(command(
      "run", {"--resume", "--set", "checkpoint.every_steps=4", "--set", "checkpoint.keep=9"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(metrics("run").size(), 20u);
  const std::string aside = read_file(dir_ / "run" / "metrics.jsonl.aside");
  EXPECT_EQ(std::count(aside.begin(), aside.end(), '\n'), 5);
  EXPECT_NE(aside.find(dump_json(before[16])), std::string::npos);
  EXPECT_NE(aside.find("{\"step\": 21, \"lo\n"), std::string::npos);
}

TEST_F(TrainSft, DryRunNamesEverythingThatKeepsARunFromStarting) {
  const std::string file = (dir_ / "data.jsonl").string();
  fs::create_directories(dir_ / "earlier" / "final");
  write_file_atomically(dir_ / "earlier" / "config.json", "{}");
  write_file_atomically(dir_ / "earlier" / "final" / "adapter_config.json", "{}");
  const auto run = test::run_program(
      {test::program("train_sft"), "--dry-run", "--out", (dir_ / "earlier").string(), "--set",
       "model=someone/tiny", "--set", "init_adapter=" + (dir_ / "earlier").string(), "--set",
       "data.jsonl=" + file + ".not", "--set", "device=cuda:7"});
  EXPECT_EQ(run.exit_code, 2);
  for (const char* problem :
       {"model: expected a model folder, got someone/tiny, which is not there; where that is a "
        "name on the Hub: hf download someone/tiny --local-dir DIR",
        "init_adapter: expected a PEFT folder, got ", "it is a run's folder, whose adapter is in ",
        "out: ", "holds a run: continue it with --resume, or choose another --out",
        "data.jsonl: expected a file, got ", "cuda:7"}) {
    EXPECT_NE(run.err.find(problem), std::string::npos) << problem << "\n" << run.err;
  }
  EXPECT_EQ(parse_json(run.out, "dry run")["config"]["device"], "cuda:7");
  const auto fine = test::run_program(command("run", {"--dry-run"}));
  EXPECT_EQ(fine.exit_code, 0) << fine.err;
  EXPECT_FALSE(parse_json(fine.out, "dry run").contains("missing"));
}

TEST_F(TrainSft, DryRunCountsTheExamplesThatARunWouldTake) {
  Words words = command("run", {"--dry-run", "--set", "data.max_tokens=40"});
  std::ofstream(dir_ / "data.jsonl", std::ios::app)
      << dump_json({{"prompt", "a"}, {"completion", std::string(300, 'x')}, {"source", "s"}})
      << "\n";
  const auto run = test::run_program(words);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json data = parse_json(run.out, "dry run")["data"];
  EXPECT_EQ(data["examples"], 24);
  EXPECT_EQ(data["too_long"], 1);
  EXPECT_EQ(data["further_fields"], (Json{{"source", 1}}));
  EXPECT_GT(data["tokens"].get<int64_t>(), data["trained_tokens"].get<int64_t>());
  EXPECT_EQ(data["time"]["tokens"].get<int64_t>(), 4 * data["tokens"].get<int64_t>());
  EXPECT_GT(data["time"]["tokens_per_s"].get<double>(), 0);
  std::ofstream(dir_ / "data.jsonl", std::ios::app) << "{\n";
  const auto refused = test::run_program(words);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("data.jsonl:26: not valid JSON"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(dir_ / "run"));
}

TEST_F(TrainSft, LearnsEveryTurnByItsWeightAndSaysWhatItLeavesOut) {
  std::ofstream lines(dir_ / "turns.jsonl");
  for (int i = 0; i < 12; ++i) {
    const std::string n = std::to_string(i);
    lines << dump_json({{"weight", i % 3 == 0 ? 2.0 : 0.5},
                        {"id", i},
                        {"messages",
                         {{{"role", "user"}, {"content", "add " + n}},
                          {{"role", "assistant"}, {"content", "x + " + n}},
                          {{"role", "user"}, {"content", "and now"}},
                          {{"role", "assistant"}, {"content", "y + " + n}}}}})
          << "\n";
  }
  lines << dump_json({{"text", std::string(2000, 'x')}}) << std::endl;
  const auto run = test::run_program(
      command("run", {"--set", "data.jsonl=" + (dir_ / "turns.jsonl").string(), "--set",
                      "data.train_turns=all", "--set", "data.max_tokens=200"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("1 of 13 examples are longer than 200 tokens"), std::string::npos);
  EXPECT_NE(run.err.find("turns.jsonl:13 ("), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("further fields, not read: id (12)"), std::string::npos) << run.err;
  const auto lines_written = metrics("run");
  EXPECT_LT(lines_written.back()["loss"].get<double>(),
            lines_written.front()["loss"].get<double>() / 2);
  EXPECT_GT(lines_written[0]["packing"].get<double>(), 0.3);
  EXPECT_LE(lines_written[0]["packing"].get<double>(), 1);
  const Json data = read_json_file(dir_ / "run" / "summary.json")["data"];
  EXPECT_EQ(data["examples"], 12);
  EXPECT_EQ(data["sequences"], 12);
  EXPECT_EQ(data["too_long"], 1);
}

TEST_F(TrainSft, AFileThatChangesUnderARunEndsItWithItsStepsSaved) {
  const Words longer = {"--set", "epochs=400"};
  test::BackgroundProgram program(command("run", longer), dir_ / "run.log");
  ASSERT_TRUE(
      test::wait_until([&] { return test::count_lines(dir_ / "run" / "metrics.jsonl") >= 2; }));
  std::ofstream(dir_ / "data.jsonl", std::ios::app) << "\n";
  EXPECT_EQ(program.wait(), 2);
  const std::string log = read_file(dir_ / "run.log");
  EXPECT_NE(log.find("data.jsonl: has changed"), std::string::npos) << log;
  const auto steps = std::to_string(test::count_lines(dir_ / "run" / "metrics.jsonl"));
  EXPECT_EQ(read_file(dir_ / "run" / "checkpoints" / "latest"), "step_" + steps + "\n");
}

TEST_F(TrainSft, DryRunPrintsTheMemoryPlanWithoutWeights) {
  const auto run = test::run_program({
      test::program("train_sft"),
      "--dry-run",
      "--set",
      "model_shape=" + test::fixture("tiny_llama/config.json").string(),
      "--set",
      "plan.gpu=h200",
  });
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json shown = parse_json(run.out, "dry run");
  EXPECT_EQ(shown["missing"].size(), 3u) << shown["missing"];  // model, out and data
  EXPECT_GT(shown["memory_plan"]["total"].get<int64_t>(), 0);
  EXPECT_EQ(shown["config"]["epochs"], 2);
}

}  // namespace
}  // namespace weft
