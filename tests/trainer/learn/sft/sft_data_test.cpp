#include "trainer/learn/sft/sft_data.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "data/trajectory_store.h"
#include "sandbox/jail/sandbox.h"
#include "tests/support/config_sizes.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"
#include "trainer/learn/sft/sft_batches.h"
#include "trainer/learn/sft/train_sft_program.h"

namespace weft {
namespace {

/// Every sequence of a source, in order.
std::vector<TrainSequence> sequences_of(const SftData& data) {
  std::vector<TrainSequence> result;
  for (int64_t i = 0; i < data.examples->size(); ++i) {
    for (auto& s : data.examples->encode(i)) result.push_back(std::move(s));
  }
  return result;
}

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

SftData open_lines(const Fixture& f, const SftDataOptions& options) {
  return open_jsonl_examples(options, f.encoder, f.temporary.path());
}

TEST(SftData, ReadsMessagesAndPlainPairs) {
  Fixture f;
  const auto data = open_lines(f, f.lines("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
                                          "{\"role\":\"assistant\",\"content\":\"b\"}]}\n"
                                          "{\"prompt\":\"c\",\"completion\":\"d\"}\n"));
  const auto sequences = sequences_of(data);
  ASSERT_EQ(sequences.size(), 2u);
  EXPECT_EQ(f.tokenizer->decode(sequences[1].completion_ids), "d<|im_end|>");
  EXPECT_EQ(data.examples->where(1), (f.temporary / "lines.jsonl").string() + ":2");
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
  const auto data =
      open_jsonl_examples(f.lines(dump_json(line) + "\n"), encoder, f.temporary.path());
  return f.tokenizer->decode(data.examples->encode(0).at(0).completion_ids);
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
  const auto data = open_lines(f, options);
  EXPECT_EQ(data.examples->size(), 1);
  EXPECT_EQ(data.counts.too_long, 1);
  ASSERT_EQ(data.counts.first_too_long.size(), 1u);
  EXPECT_NE(data.counts.first_too_long[0].find("lines.jsonl:2 ("), std::string::npos);
  options.max_tokens = 1;
  const std::string error = test::input_error([&] { open_lines(f, options); });
  EXPECT_NE(error.find("got none (2 longer than max_tokens, here 1: "), std::string::npos) << error;
}

TEST(SftData, LeavesOutAndCountsWhatWeighsNothing) {
  Fixture f;
  const auto data = open_lines(f, f.lines("{\"text\":\"x = 1\",\"weight\":0}\n"
                                          "{\"text\":\"x = 2\",\"weight\":2}\n"));
  EXPECT_EQ(data.counts.zero_weight, 1);
  ASSERT_EQ(data.examples->size(), 1);
  EXPECT_EQ(data.examples->encode(0)[0].weight, 2);
}

TEST(SftData, ReadsAGzippedFileAsTheFileItself) {
  Fixture f;
  const std::string text = "{\"prompt\":\"c\",\"completion\":\"d\"}\r\n\n{\"text\":\"x\"}";
  SftDataOptions options = f.lines(text);
  const auto expected = sequences_of(open_lines(f, options));
  options.jsonl = f.temporary / "lines.jsonl.gz";
  gzFile packed = gzopen(options.jsonl.c_str(), "wb");
  gzputs(packed, text.c_str());
  gzclose(packed);
  const auto got = sequences_of(open_lines(f, options));
  ASSERT_EQ(got.size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(got[i].completion_ids, expected[i].completion_ids);
}

TEST(SftData, RefusesAFileThatChangesUnderTheRun) {
  Fixture f;
  const auto options = f.lines("{\"text\":\"x = 1\"}\n");
  const auto data = open_lines(f, options);
  std::ofstream(options.jsonl, std::ios::app) << "{\"text\":\"x = 2\"}\n";
  EXPECT_NE(test::input_error([&] { data.examples->encode(0); }).find("has changed"),
            std::string::npos);
}

TEST(SftData, PlansWithTheCountsOfARunAndEstimatesALongFile) {
  Fixture f;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "{\"prompt\":\"c\",\"completion\":\"d\"}\n";
  const auto options = f.lines(text);
  Json whole = plan_jsonl_examples(options, f.encoder, 1000);
  EXPECT_EQ(whole["estimated"], false);
  EXPECT_EQ(whole["examples"], 200);
  EXPECT_EQ(whole["tokens"], open_lines(f, options).counts.tokens);
  Json part = plan_jsonl_examples(options, f.encoder, 50);
  EXPECT_EQ(part["estimated"], true);
  EXPECT_EQ(part["examples"], 200);
  EXPECT_EQ(part["tokens"], whole["tokens"]);
}

/// Peak resident memory of this process in KiB since reset_peak().
int64_t peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6));
  }
  return 0;
}

void reset_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

// Eight bytes a row in the index and four in the order; holding the rows would take above 100.
TEST(SftData, AMillionRowsTakeTwelveBytesEach) {
  constexpr int64_t kRows = 1'000'000;
  Fixture f;
  {
    std::ofstream file(f.temporary / "lines.jsonl");
    for (int64_t i = 0; i < kRows; ++i) {
      file << "{\"prompt\":\"a\",\"completion\":\"" << i % 1000 << "\"}\n";
    }
  }
  SftDataOptions options;
  options.jsonl = f.temporary / "lines.jsonl";
  reset_peak();
  const int64_t before = peak_kib();
  const auto data = open_lines(f, options);
  ASSERT_EQ(data.examples->size(), kRows);
  SftConfig config;
  SftSchedule schedule(kRows, config);
  for (int64_t step = 0; step < 50; ++step) {
    for (const int64_t i : schedule.batch(step)) {
      const std::string target = std::to_string(i % 1000) + "<|im_end|>";
      EXPECT_EQ(f.tokenizer->decode(data.examples->encode(i)[0].completion_ids), target);
    }
  }
  constexpr int64_t kSlackKib = 4096;  // buffers and the allocator's rounding
  EXPECT_LT(peak_kib() - before, kRows * 12 / 1024 + kSlackKib);
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
  const auto first = sequences_of(all[0]);
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(all[0].teachers, (std::vector<std::string>{"scripted"}));
  for (int turn = 1; turn < 3; ++turn) {
    const auto other = sequences_of(all[turn]);
    ASSERT_EQ(other.size(), 4u);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(other[i].prompt_ids, first[i].prompt_ids);
      EXPECT_EQ(other[i].completion_ids, first[i].completion_ids);
    }
  }
}

TEST(SftData, NamesFileAndLineOfABadExample) {
  Fixture f;
  const std::string good = "{\"prompt\":\"c\",\"completion\":\"d\"}\n";
  const std::string nul(1, '\0');
  const struct {
    std::string line;
    const char* expected;
  } cases[] = {
      {"{\"prompt\":\"c\"}", "expected a string, got nothing"},
      {"prompt: c", "not valid JSON"},
      {"{\"text\":\"a\"} {\"text\":\"b\"}", "not valid JSON"},
      {"{\"text\":\"a\"}" + nul + "x", "NUL byte"},
      {"{\"text\":\"a\xff\"}", "UTF-8"},
      {"{\"text\":\"a\",\"text\":\"b\"}", "\"text\" once in an object, got it twice"},
      {"{\"text\":\"a\",\"weight\":NaN}", "not valid JSON"},
      {"{\"text\":\"a\",\"weight\":1e999}", "not valid JSON"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "one of the assistant"},
      {"{\"text\":\"" + std::string(65 << 20, 'a') + "\"}", "a line of at most 67108864 bytes"},
  };
  for (const auto& c : cases) {
    const auto options = f.lines(good + c.line + "\n" + good);
    const std::string error = test::input_error([&] { open_lines(f, options); });
    EXPECT_NE(error.find("lines.jsonl:2: "), std::string::npos) << error;
    EXPECT_NE(error.find(c.expected), std::string::npos) << error;
  }
}

TEST(SftData, RefusesAFileWithoutExamples) {
  Fixture f;
  for (const char* text : {"", "\n\r\n", "\xef\xbb\xbf"}) {
    EXPECT_NE(test::input_error([&] { open_lines(f, f.lines(text)); }).find("lines.jsonl"),
              std::string::npos);
  }
}

TEST(SftData, ReadsAByteOrderMarkAndLinesOfWindows) {
  Fixture f;
  const std::string line = "{\"prompt\":\"c\",\"completion\":\"d\"}\r\n";
  const auto data = open_lines(f, f.lines("\xef\xbb\xbf" + line + line));
  const auto sequences = sequences_of(data);
  ASSERT_EQ(sequences.size(), 2u);
  EXPECT_EQ(sequences[0].completion_ids, sequences[1].completion_ids);
}

TEST(SftConfig, EverySizeIsBounded) {
  test::expect_bounded_sizes<SftConfig>(Json::object(),
                                        {"threads", "sequences_per_step", "data.max_tokens",
                                         "learn.tokens_per_microbatch", "learn.loss_chunk_tokens"});
}

}  // namespace
}  // namespace weft
