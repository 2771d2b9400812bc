// Memory that runs out in the middle of a step, on the CPU and on the fake device: limits of what
// tensors may take stand for a full machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint/hf_model.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/tensor_device.h"
#include "tests/support/fake_device/fake_gpu.h"
#include "tests/support/gpu_under_test.h"
#include "tests/support/host_memory.h"
#include "tests/support/json_lines.h"
#include "tests/support/operator_watch.h"
#include "tests/support/support.h"
#include "tests/trainer/learn/grpo/policy_bench.h"
#include "tests/trainer/learn/run/spoilt_model.h"
#include "trainer/learn/sft/train_sft_program.h"

namespace weft {
namespace {

using test::HostMemory;
using test::fake::FakeGpu;
using testing::AllOf;
using testing::HasSubstr;

/// Tensors' memory of the CPU, or of the fake device.
class Memory {
 public:
  explicit Memory(bool device) : device_(device) {}
  ~Memory() { set_limit(0); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  at::Device device() const { return device_ ? tensor_device(compute()) : at::Device(at::kCPU); }
  ComputeDevice compute() const { return device_ ? test::the_gpu().device : ComputeDevice{}; }
  int64_t live() const {
    return device_ ? static_cast<int64_t>(FakeGpu::get().live_bytes())
                   : HostMemory::get().live_bytes();
  }
  /// Most of live() while f runs.
  template <class F>
  int64_t peak_of(F&& f) const {
    device_ ? FakeGpu::get().restart_peak() : HostMemory::get().restart_peak();
    f();
    return device_ ? static_cast<int64_t>(FakeGpu::get().peak_bytes())
                   : HostMemory::get().peak_bytes();
  }
  void set_limit(int64_t bytes) const {
    if (device_) FakeGpu::get().set_limit(static_cast<size_t>(bytes));
    if (!device_) HostMemory::get().set_limit(bytes);
  }

 private:
  bool device_;
};

class OutOfMemoryInAStep : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    HostMemory::get();
    ops::install_cuda_forms(test::the_gpu().device);
  }

  Learner learner(int64_t tokens, bool in_backward = false, bool offload = false) const {
    const std::shared_ptr<Transformer> model = test::tiny_model();
    model->to(memory_.device());
    LearnOptions options;
    options.full_weights = true;
    options.tokens_per_microbatch = tokens;
    options.optimizer.in_backward = in_backward;
    options.offload_kept_layers = offload;
    if (in_backward) options.optimizer.adamw.max_grad_norm = 0;
    return Learner(model, nullptr, options);
  }

  const Memory memory_{GetParam()};
  const std::vector<TrainSequence> sequences_ = test::random_sequences(12, 77, 1);
};

at::Tensor weights_of(Learner& l) { return l.model().layer(0).flat.detach().cpu().clone(); }

void train(Learner& l, const std::vector<TrainSequence>& sequences) {
  l.fit([&] {
    LoggedSum loss;
    EXPECT_TRUE(l.update(sequences, supervised_loss(100, loss), 1e-2).applied);
    EXPECT_GT(loss.value(), 0);
  });
}

/// What a step takes beyond what is there before it. The second: the first makes what lasts.
int64_t needs(const Memory& memory, Learner l, const std::vector<TrainSequence>& sequences) {
  train(l, sequences);
  const int64_t before = memory.live();
  return memory.peak_of([&] { train(l, sequences); }) - before;
}

TEST_P(OutOfMemoryInAStep, HalvesTheMicrobatchOnceAndGoesOn) {
  for (const bool offload : {false, true}) {
    const auto with = [&](int64_t tokens) { return learner(tokens, false, offload); };
    const int64_t whole = needs(memory_, with(128), sequences_);
    const int64_t half = needs(memory_, with(64), sequences_);
    ASSERT_LT(half, whole);
    Learner expected = with(64), l = with(128);
    train(expected, sequences_);
    memory_.set_limit(memory_.live() + (half + whole) / 2);
    train(l, sequences_);
    EXPECT_EQ(l.halved_microbatch(), 64);
    EXPECT_THAT(l.take_warning(), AllOf(HasSubstr("out of memory"), HasSubstr("128 tokens"),
                                        HasSubstr("half as many from now on")));
    EXPECT_EQ(l.take_warning(), "");
    train(l, sequences_);
    memory_.set_limit(0);
    train(expected, sequences_);
    EXPECT_TRUE(weights_of(l).equal(weights_of(expected)));
  }
}

TEST_P(OutOfMemoryInAStep, ChangesNothingWhereHalfIsTooMuch) {
  const int64_t half = needs(memory_, learner(64), sequences_);
  Learner l = learner(128);
  train(l, sequences_);
  const at::Tensor before = weights_of(l);
  memory_.set_limit(memory_.live() + half / 2);
  try {
    train(l, sequences_);
    FAIL() << "there was enough";
  } catch (const OutOfMemory& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("with microbatches of 128 tokens, and with half"),
                                    testing::Not(HasSubstr("\n"))));
  }
  memory_.set_limit(0);
  EXPECT_EQ(l.optimizer().num_updates(), 1);
  EXPECT_TRUE(weights_of(l).equal(before));
  train(l, sequences_);
  EXPECT_EQ(l.optimizer().num_updates(), 2);
}

TEST_P(OutOfMemoryInAStep, LogprobsAreComputedWithHalfTheMicrobatchToo) {
  Learner l = learner(128);
  const auto expected = l.logprobs(sequences_, nullptr);
  const auto peak = [&](int64_t tokens) {
    Learner other = learner(tokens);
    const int64_t before = memory_.live();
    return memory_.peak_of([&] { other.logprobs(sequences_, nullptr); }) - before;
  };
  memory_.set_limit(memory_.live() + (peak(128) + peak(64)) / 2);
  const auto got = l.logprobs(sequences_, nullptr);
  EXPECT_EQ(l.halved_microbatch(), 64);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].size(), expected[i].size());
    for (size_t t = 0; t < got[i].size(); ++t) EXPECT_NEAR(got[i][t], expected[i][t], 1e-5);
  }
}

// A sequence is never divided: half a microbatch does not help.
TEST_P(OutOfMemoryInAStep, WhileItLooksForWhatIsNotFiniteNothingIsLost) {
  constexpr size_t kBad = 2, kNever = 1000;
  Learner l = learner(128);
  train(l, sequences_);
  const at::Tensor before = weights_of(l);
  LoggedSum ignored;
  const auto look = [&](size_t runs_out_at) {
    return l.find_non_finite(sequences_, [&](size_t i) {
      if (i == runs_out_at) memory_.set_limit(memory_.live() + 1024);
      return supervised_loss(i == kBad ? std::nan("") : 10, ignored);
    });
  };
  EXPECT_EQ(look(kNever), std::vector<size_t>{kBad});
  for (const size_t at : {size_t{0}, kBad, size_t{7}}) {
    try {
      look(at);
      FAIL() << "there was enough";
    } catch (const OutOfMemory& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("out of memory"), testing::Not(HasSubstr("\n"))));
    }
    memory_.set_limit(0);
    EXPECT_TRUE(weights_of(l).equal(before));
    EXPECT_EQ(look(kNever), std::vector<size_t>{kBad});
  }
  EXPECT_EQ(l.optimizer().num_updates(), 1);
  train(l, sequences_);
  EXPECT_EQ(l.optimizer().num_updates(), 2);
}

// Two groups of short completions, then two of long ones, which half a microbatch does not hold
// either: two updates, of which the second needs more memory.
class PolicyOutOfMemory : public OutOfMemoryInAStep {
 protected:
  /// With `spoilt`, no sequence that holds kRare can be learnt from.
  Learner policy(bool spoilt = false) const {
    const std::shared_ptr<Transformer> model = test::tiny_model(/*tied=*/!spoilt);
    for (const NamedParameter& p : model->global_parameters()) {
      if (spoilt && p.name == "embed.weight") {
        p.tensor->detach().select(0, test::Bench::kRare).fill_(std::nan(""));
      }
    }
    const auto lora = test::fresh_lora(model->config());
    model->to(memory_.device());
    lora->to(memory_.device());
    LearnOptions options;
    options.tokens_per_microbatch = 64;
    return Learner(model, lora, options);
  }
  static std::vector<Episode> episodes(Learner& l) {
    Rng rng(5);
    std::vector<TrainSequence> sequences;
    for (int i = 0; i < 8; ++i) {
      sequences.push_back({test::random_ids(rng, 4), test::random_ids(rng, i < 4 ? 8 : 120)});
      for (auto* ids : {&sequences.back().prompt_ids, &sequences.back().completion_ids}) {
        std::replace(ids->begin(), ids->end(), test::Bench::kRare, int32_t{3});
      }
    }
    const auto logps = l.logprobs(sequences, l.lora());
    std::vector<Episode> result(sequences.size());
    for (size_t i = 0; i < result.size(); ++i) {
      result[i].group = i / 2;
      result[i].reward = static_cast<double>(i % 2);
      result[i].prompt_ids = sequences[i].prompt_ids;
      result[i].completion_ids = sequences[i].completion_ids;
      result[i].sampling_logprobs = logps[i];
    }
    return result;
  }
  static PolicyUpdateResult update(Learner& l, const std::vector<Episode>& batch, int64_t parts,
                                   RatioLevel ratio = RatioLevel::kToken) {
    PolicyUpdateOptions options;
    options.updates_per_batch = parts;
    options.loss.ratio = ratio;
    return update_policy(l, batch, {}, 1e-2, options);
  }
  /// What an update takes beyond what is there before it.
  int64_t needs(const std::vector<Episode>& batch) const {
    Learner l = policy();
    update(l, batch, 1);
    const int64_t before = memory_.live();
    return memory_.peak_of([&] { update(l, batch, 1); }) - before;
  }
  static at::Tensor adapter_of(Learner& l) { return l.lora()->flat(0).cpu().clone(); }
};

TEST_P(PolicyOutOfMemory, InALaterUpdateABatchCountsAsFarAsItCame) {
  for (const RatioLevel ratio : {RatioLevel::kToken, RatioLevel::kSequence}) {
    Learner l = policy(), expected = policy();
    const std::vector<Episode> all = episodes(l), first(all.begin(), all.begin() + 4);
    const int64_t some = needs(first), whole = needs(all);
    ASSERT_LT(some, whole);
    update(expected, first, 1, ratio);
    update(expected, first, 1, ratio);
    update(l, first, 1, ratio);
    memory_.set_limit(memory_.live() + (some + whole) / 2);
    const PolicyUpdateResult cut = update(l, all, 2, ratio);
    memory_.set_limit(0);
    EXPECT_EQ(cut.num_updates, 1);
    EXPECT_EQ(cut.skipped_updates, 1);
    EXPECT_THAT(cut.out_of_memory, AllOf(HasSubstr("out of memory"), HasSubstr("with half as many"),
                                         testing::Not(HasSubstr("\n"))));
    EXPECT_TRUE(adapter_of(l).equal(adapter_of(expected)));
    const PolicyUpdateResult next = update(l, all, 2, ratio);
    EXPECT_EQ(next.num_updates, 2);
    EXPECT_EQ(next.out_of_memory, "");
  }
}

TEST_P(PolicyOutOfMemory, InTheFirstUpdateABatchChangesNothing) {
  Learner l = policy();
  const std::vector<Episode> all = episodes(l), first(all.begin(), all.begin() + 4);
  const std::vector<Episode> long_ones_first(all.rbegin(), all.rend());
  update(l, first, 1);
  const at::Tensor before = adapter_of(l);
  memory_.set_limit(memory_.live() + (needs(first) + needs(all)) / 2);
  EXPECT_THROW(update(l, long_ones_first, 2), OutOfMemory);
  memory_.set_limit(0);
  EXPECT_TRUE(adapter_of(l).equal(before));
  EXPECT_EQ(l.optimizer().num_updates(), 1);
}

// The first look at a tensor is that for the gradient's name.
TEST_P(PolicyOutOfMemory, WhileItLooksForABadEpisodeABatchCountsAsFarAsItCame) {
  for (const size_t bad : {1, 5}) {  // in the first update, and in the second
    Learner l = policy(/*spoilt=*/true), expected = policy(/*spoilt=*/true);
    std::vector<Episode> all = episodes(l), first(all.begin(), all.begin() + 4);
    all[bad].completion_ids[0] = test::Bench::kRare;
    const bool later = bad >= 4;
    if (later) update(expected, first, 1);
    {
      bool looked = false;
      const test::OperatorWatch watch([&](std::string_view name) {
        if (name != "aten::aminmax" || std::exchange(looked, true)) return;
        memory_.set_limit(memory_.live() + (16 << 10));
      });
      if (later) {
        const PolicyUpdateResult cut = update(l, all, 2);
        EXPECT_EQ(cut.num_updates, 1);
        EXPECT_THAT(cut.out_of_memory, HasSubstr("out of memory"));
        EXPECT_TRUE(cut.bad.empty());
      } else {
        EXPECT_THROW(update(l, all, 2), OutOfMemory);
      }
      EXPECT_TRUE(looked);
    }
    memory_.set_limit(0);
    EXPECT_TRUE(adapter_of(l).equal(adapter_of(expected)));
    const PolicyUpdateResult again = update(l, all, 2);
    EXPECT_EQ(again.num_updates, 2);
    ASSERT_EQ(again.bad.size(), 1u);
    EXPECT_EQ(again.bad[0].index, bad);
  }
}

// The long sequence is a microbatch of its own, which half the tokens do not make smaller.
class SftOutOfMemory : public OutOfMemoryInAStep {
 protected:
  SftConfig config(const std::string& out) const {
    SftConfig config;
    config.model = test::fixture("tiny_llama").string();
    config.data.jsonl = (dir_ / "data.jsonl").string();
    config.out = (dir_ / out).string();
    config.dtype = "f32";
    config.learn.full_weights = true;
    config.learn.tokens_per_microbatch = 64;
    config.sequences_per_step = 1;
    config.epochs = 1;
    return config;
  }
  void write_data(int lines, int long_line) const {
    std::ofstream file(dir_ / "data.jsonl");
    for (int i = 0; i < lines; ++i) {
      std::string completion = "def f(x): return x";
      for (int k = 0; i == long_line && k < 12; ++k) completion += " + x * 17 - y";
      file << dump_json({{"prompt", "add " + std::to_string(i)}, {"completion", completion}})
           << "\n";
    }
  }
  void run(const SftConfig& config, bool resume) const {
    run_train_sft(config, resume, config_to_json(config), memory_.compute());
  }
  std::string model_of(const std::string& out) const {
    return read_file(dir_ / out / "final" / "model.safetensors");
  }
  /// Steps that a run has written down.
  size_t steps_of(const std::string& out) const {
    return test::read_json_lines(dir_ / out / "metrics.jsonl").size();
  }

  test::TempDir dir_;
};

TEST_P(SftOutOfMemory, SavesWhatIsLearntAndEndsAndIsResumed) {
  write_data(/*lines=*/8, /*long_line=*/3);
  const int64_t live = memory_.live();
  const int64_t all = memory_.peak_of([&] { run(config("straight"), false); }) - live;
  write_data(8, -1);
  const int64_t without = memory_.peak_of([&] { run(config("short"), false); }) - live;
  write_data(8, 3);
  ASSERT_LT(without, all);
  memory_.set_limit(memory_.live() + (all + without) / 2);
  try {
    run(config("cut"), false);
    FAIL() << "there was enough";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("out of memory"));
  }
  EXPECT_GT(steps_of("cut"), 0u);
  EXPECT_LT(steps_of("cut"), 8u);
  EXPECT_TRUE(
      fs::exists(dir_ / "cut" / "checkpoints" / ("step_" + std::to_string(steps_of("cut")))));
  memory_.set_limit(0);
  run(config("cut"), true);
  EXPECT_EQ(steps_of("cut"), 8u);
  EXPECT_EQ(model_of("cut"), model_of("straight"));
}

// Memory runs out before the bad example is found, and after, before the step is done.
TEST_P(SftOutOfMemory, ABadExampleOfAStepThatIsCutShortIsFoundAgainAndNamed) {
  write_data(/*lines=*/9, /*long_line=*/-1);
  std::ofstream(dir_ / "data.jsonl", std::ios::app)
      << dump_json({{"prompt", "add 9"}, {"completion", "~ nine"}}) << "\n";
  const auto on_bad = [&](const std::string& out) {
    SftConfig c = config(out);
    c.model = (dir_ / "model").string();
    c.learn.full_weights = false;
    c.learn.tokens_per_microbatch = 4096;  // half of it holds a step, too
    c.sequences_per_step = 2;
    return c;
  };
  test::copy_with_a_nan_row(test::fixture("tiny_mistral"), dir_ / "model", "~");
  int64_t looks = 0;                      // at whether a tensor is finite
  int64_t first_look = 0, last_look = 0;  // between the updates before and after the bad one
  int64_t looks_before = -1;              // the update before
  {
    const test::OperatorWatch watch([&](std::string_view name) {
      looks += name == "aten::aminmax" ? 1 : 0;
      if (name != "aten::_fused_adamw_" || last_look > 0) return;
      if (looks_before >= 0 && looks > looks_before) {
        first_look = looks_before + 1;
        last_look = looks;
      }
      looks_before = looks;
    });
    run(on_bad("straight"), false);
  }
  ASSERT_GT(last_look, first_look) << "the bad example is not in the first step";
  for (const int64_t at : {first_look, last_look}) {
    const std::string out = "cut_" + std::to_string(at);
    looks = 0;
    {
      const test::OperatorWatch watch([&](std::string_view name) {
        looks += name == "aten::aminmax" ? 1 : 0;
        if (name == "aten::aminmax" && looks == at) {
          memory_.set_limit(memory_.live() + (16 << 10));
        }
      });
      EXPECT_THROW(run(on_bad(out), false), Error);
    }
    memory_.set_limit(0);
    EXPECT_GT(steps_of(out), 0u);
    EXPECT_LT(steps_of(out), 5u);
    EXPECT_FALSE(fs::exists(dir_ / out / "skipped_examples.jsonl"));
    run(on_bad(out), true);
    for (const char* file : {"skipped_examples.jsonl", "final/adapter_model.safetensors"}) {
      EXPECT_EQ(read_file(dir_ / out / file), read_file(dir_ / "straight" / file)) << file;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Memory, OutOfMemoryInAStep, testing::Bool(),
                         [](const auto& info) { return info.param ? "Device" : "Host"; });
// A batch of long completions, and a whole run, take minutes of an emulated GPU.
INSTANTIATE_TEST_SUITE_P(Memory, PolicyOutOfMemory, testing::Values(false),
                         [](const auto&) { return "Host"; });
INSTANTIATE_TEST_SUITE_P(Memory, SftOutOfMemory, testing::Values(false),
                         [](const auto&) { return "Host"; });

}  // namespace
}  // namespace weft
