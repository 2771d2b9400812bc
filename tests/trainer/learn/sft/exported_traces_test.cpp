// What collect_traces exports is read back by train_sft to the ids that the store itself gives.
#include <gtest/gtest.h>

#include <fstream>

#include "sandbox/jail/sandbox.h"
#include "tests/support/support.h"
#include "trainer/learn/sft/sft_data.h"
#include "trainer/search/trace_export.h"

namespace weft {
namespace {

std::vector<std::pair<std::vector<int32_t>, std::vector<int32_t>>> ids_of(const SftData& data) {
  std::vector<std::pair<std::vector<int32_t>, std::vector<int32_t>>> ids;
  for (int64_t i = 0; i < data.examples->size(); ++i) {
    for (const TrainSequence& s : data.examples->encode(i)) {
      ids.emplace_back(s.prompt_ids, s.completion_ids);
    }
  }
  return ids;
}

Trajectory row_of(const char* task, const std::string& code, const std::string& reasoning) {
  Trajectory row;
  row.task_id = task;
  row.origin = "teacher:m";
  row.code = code;
  row.reasoning = reasoning;
  row.valid = true;
  row.outcome = "scored";
  row.reward = 1;
  return row;
}

struct Bench {
  Bench() {
    std::ofstream(dir / "tasks.jsonl")
        << R"({"id":"t1","dataset":"d","kind":"qa","prompt":"one \"x\"","answer":"1"})"
        << "\n"
        << R"({"id":"t2","dataset":"d","kind":"qa","prompt":"two\n\u00e9","answer":"2"})"
        << "\n";
    TrajectoryStore store(dir / "store.sqlite");
    store.insert(row_of("t1", "x = 1\n", "First.\nResult: none\nThen."));
    store.insert(row_of("t2", "x = 2", "  Second, \u00e9.\n"));
  }

  // Ids of the store's rows, as they are and by way of an export.
  void expect_same_ids(const ChatTemplate& chat_template, TraceExportOptions options) {
    const ExampleEncoder encoder(*tokenizer, &chat_template, {2});
    SftDataOptions from_store;
    from_store.store = dir / "store.sqlite";
    from_store.tasks = {dir / "tasks.jsonl"};
    const auto expected = ids_of(load_store_examples(from_store, encoder, meta_agent));
    ASSERT_EQ(expected.size(), 2u);

    const TrajectoryStore store(dir / "store.sqlite", StoreAccess::kRead);
    export_traces(store, load_tasks(dir / "tasks.jsonl"), {}, options,
                  {[&](const Task& task) { return meta_agent.prompt(task); },
                   [&](const std::string& code) { return meta_agent.render_code(code); },
                   [&](const std::string& code) { return analyser.facts(code).ast_hash; },
                   {}},
                  dir.path());
    SftDataOptions from_lines;
    from_lines.jsonl = dir / "traces.jsonl";
    const SftData read = open_jsonl_examples(from_lines, encoder, dir.path());
    EXPECT_TRUE(read.counts.further.empty());
    EXPECT_EQ(ids_of(read), expected);
  }

  test::TempDir dir;
  std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(test::fixture("tiny_llama"));
  Sandbox sandbox{[] {
    SandboxOptions one_slot;
    one_slot.num_slots = 1;
    return one_slot;
  }()};
  PythonAnalyser analyser{sandbox};
  MetaAgent meta_agent{analyser, {}};
};

constexpr TraceForm kForms[] = {TraceForm::kMessages, TraceForm::kPromptCompletion,
                                TraceForm::kShareGpt};

TEST(ExportedTraces, GiveTheIdsOfTheStoreUnderATemplateWithoutAReasoningPart) {
  Bench bench;
  const ChatTemplate plain = ChatTemplate::load(test::fixture("tiny_llama"));
  for (const TraceForm form : kForms) {
    bench.expect_same_ids(plain, {form, ReasoningPlace::kText, ""});
    if (form == TraceForm::kShareGpt) continue;
    bench.expect_same_ids(plain, {form, ReasoningPlace::kField, ""});
  }
}

TEST(ExportedTraces, GiveTheIdsOfTheStoreUnderTemplatesWithAReasoningPart) {
  Bench bench;
  const ChatTemplate opens(
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}");
  const ChatTemplate writes(
      "{% for m in messages %}<|im_start|>{{ m.role }}\n"
      "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
      "{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  for (const ChatTemplate* chat_template : {&opens, &writes}) {
    for (const TraceForm form : kForms) {
      bench.expect_same_ids(*chat_template, {form, ReasoningPlace::kThink, ""});
      if (form == TraceForm::kShareGpt) continue;
      bench.expect_same_ids(*chat_template, {form, ReasoningPlace::kField, ""});
    }
  }
}

}  // namespace
}  // namespace weft
