#include "trainer/learn/sft/sft_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/error.h"
#include "data/trajectory_store.h"
#include "sandbox/jail/sandbox.h"
#include "tests/support/support.h"
#include "trainer/learn/sft/train_sft_program.h"

namespace weft {
namespace {

struct Fixture {
  std::string dir = test::fixture("tiny_llama");
  std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(dir);
  ChatTemplate chat_template = ChatTemplate::load(dir);
  ExampleEncoder encoder{*tokenizer, &chat_template, {2}};
  test::TempDir temporary;

  SftDataOptions lines(const std::string& text) {
    std::ofstream(temporary / "lines.jsonl") << text;
    SftDataOptions options;
    options.jsonl = temporary / "lines.jsonl";
    return options;
  }
};

TEST(ExampleEncoder, PromptsWithTheTemplateAndTrainsTheEndOfTurn) {
  Fixture f;
  const auto s = f.encoder.encode({{"user", "hi"}}, "x = 1");
  EXPECT_EQ(f.tokenizer->decode(s.prompt_ids),
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(f.tokenizer->decode(s.completion_ids), "x = 1<|im_end|>");
  EXPECT_EQ(s.completion_ids.back(), 2);
}

TEST(ExampleEncoder, TakesSpecialTokensInATargetAsText) {
  Fixture f;
  const auto s = f.encoder.encode({{"user", "hi"}}, "a<|im_end|>b");
  EXPECT_EQ(std::count(s.completion_ids.begin(), s.completion_ids.end(), 2), 1);
}

TEST(SftData, ReadsMessagesAndPlainPairs) {
  Fixture f;
  const auto data =
      load_jsonl_examples(f.lines("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
                                  "{\"role\":\"assistant\",\"content\":\"b\"}]}\n"
                                  "{\"prompt\":\"c\",\"completion\":\"d\"}\n"),
                          f.encoder);
  ASSERT_EQ(data.sequences.size(), 2u);
  EXPECT_EQ(f.tokenizer->decode(data.sequences[1].completion_ids), "d<|im_end|>");
}

/// Targets of one conversation whose assistant's turn has these fields, under a template whose
/// prompt ends in an open "<think>".
std::string target_after_open_think(const Json& fields) {
  Fixture f;
  const ChatTemplate opens(
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}");
  const ExampleEncoder encoder(*f.tokenizer, &opens, {2});
  Json turn = fields;
  turn["role"] = "assistant";
  const Json line = {{"messages", {{{"role", "user"}, {"content", "a"}}, turn}}};
  const auto data = load_jsonl_examples(f.lines(dump_json(line) + "\n"), encoder);
  return f.tokenizer->decode(data.sequences.at(0).completion_ids);
}

TEST(SftData, ClosesTheThinkPartThatThePromptOpenedOnce) {
  const std::string expected = "R\n</think>\n\nC<|im_end|>";
  EXPECT_EQ(target_after_open_think({{"content", "<think>\nR\n</think>\n\nC"}}), expected);
  EXPECT_EQ(target_after_open_think({{"content", "R\n</think>\n\nC"}}), expected);
  EXPECT_EQ(target_after_open_think({{"content", "C"}, {"reasoning_content", "R"}}), expected);
  EXPECT_EQ(target_after_open_think({{"content", "C"}, {"reasoning", "R"}}), expected);
  EXPECT_EQ(target_after_open_think({{"content", "C"}, {"reasoning_content", nullptr}}),
            "\n</think>\n\nC<|im_end|>");
  EXPECT_THROW(target_after_open_think({{"content", "<think> and so on"}}), InputError);
}

TEST(SftData, LeavesOutAndCountsWhatIsTooLong) {
  Fixture f;
  auto options = f.lines(
      "{\"prompt\":\"c\",\"completion\":\"d\"}\n"
      "{\"prompt\":\"c\",\"completion\":\"a = 1; b = 2; c = 3; d = 4\"}\n");
  options.max_tokens = 8;
  const auto data = load_jsonl_examples(options, f.encoder);
  EXPECT_EQ(data.sequences.size(), 1u);
  EXPECT_EQ(data.num_too_long, 1);
}

// Equal rewards everywhere: which two of each task's four are taken, and in which order, is left to
// their content.
TEST(SftData, TakesTheSameExamplesInTheSameOrderWhateverTheStoresOrder) {
  Fixture f;
  std::ofstream(f.temporary / "tasks.jsonl")
      << R"({"id":"t1","dataset":"d","kind":"qa","prompt":"one","answer":"1"})"
      << "\n"
      << R"({"id":"t2","dataset":"d","kind":"qa","prompt":"two","answer":"2"})"
      << "\n";
  SandboxOptions one_slot;
  one_slot.num_slots = 1;
  Sandbox sandbox(one_slot);
  PythonAnalyser analyser(sandbox);
  const MetaAgent meta_agent(analyser, {});
  std::vector<Trajectory> rows;
  for (int i = 0; i < 8; ++i) {
    Trajectory row;
    row.task_id = i % 2 ? "t1" : "t2";
    row.origin = "scripted";
    row.code = "x = " + std::to_string(i * 7 % 8) + "\n";
    row.valid = true;
    row.reward = 0.75;
    rows.push_back(row);
  }
  std::vector<SftData> all;
  for (int turn = 0; turn < 3; ++turn) {
    std::rotate(rows.begin(), rows.begin() + 3, rows.end());
    SftDataOptions options;
    options.store = f.temporary / ("store" + std::to_string(turn) + ".sqlite");
    options.tasks = {f.temporary / "tasks.jsonl"};
    options.max_per_task = 2;
    TrajectoryStore(options.store).insert_all(rows);
    all.push_back(load_store_examples(options, f.encoder, meta_agent));
  }
  ASSERT_EQ(all[0].sequences.size(), 4u);
  EXPECT_EQ(all[0].teachers, (std::vector<std::string>{"scripted"}));
  for (int turn = 1; turn < 3; ++turn) {
    ASSERT_EQ(all[turn].sequences.size(), 4u);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(all[turn].sequences[i].prompt_ids, all[0].sequences[i].prompt_ids);
      EXPECT_EQ(all[turn].sequences[i].completion_ids, all[0].sequences[i].completion_ids);
    }
  }
}

TEST(SftData, NamesFileAndLineOfABadExample) {
  Fixture f;
  const auto options = f.lines("{\"prompt\":\"c\",\"completion\":\"d\"}\n{\"prompt\":\"c\"}\n");
  try {
    load_jsonl_examples(options, f.encoder);
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("lines.jsonl:2"), std::string::npos) << error.what();
  }
}

TEST(SftSchedule, VisitsEveryExampleOnceAnEpochInANewOrder) {
  SftConfig config;
  config.epochs = 2;
  config.sequences_per_step = 4;
  const SftSchedule schedule(10, config);
  ASSERT_EQ(schedule.num_steps(), 6);
  std::vector<std::vector<int64_t>> orders(2);
  for (int64_t step = 0; step < 6; ++step) {
    for (const int64_t i : schedule.batch(step)) orders[step / 3].push_back(i);
  }
  for (const auto& order : orders) {
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 10u);
  }
  EXPECT_NE(orders[0], orders[1]);
  config.max_steps = 5;
  EXPECT_EQ(SftSchedule(10, config).num_steps(), 5);
}

}  // namespace
}  // namespace weft
