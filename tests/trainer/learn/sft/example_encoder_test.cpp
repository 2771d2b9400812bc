#include "trainer/learn/sft/example_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

const std::string kChatMl =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
/// Drops the reasoning of earlier turns and opens that of the next one, as DeepSeek-R1's.
const std::string kOpensThink =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1] }}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";
/// Writes tools and calls as Qwen2.5's.
const std::string kCallsTools =
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

struct Subject {
  explicit Subject(const std::string& jinja) : chat_template(jinja, "<|im_start|>", "<|im_end|>") {}
  std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(test::fixture("tiny_llama"));
  ChatTemplate chat_template;
  ExampleEncoder encoder{*tokenizer, &chat_template, {2}};

  std::vector<TrainSequence> encode(const std::string& line, int64_t max_tokens = 1000) const {
    FieldCounts further;
    return encoder.encode(
        parse_example_line(parse_json_row(line, "f:1"), "f:1", TrainTurns::kAll, further),
        max_tokens);
  }
};

TEST(ExampleEncoder, PromptsWithTheTemplateAndTrainsTheEndOfTurn) {
  const Subject s(kChatMl);
  const auto got = s.encoder.encode({{"user", "hi"}}, "x = 1");
  EXPECT_EQ(s.tokenizer->decode(got.prompt_ids),
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(s.tokenizer->decode(got.completion_ids), "x = 1<|im_end|>");
  EXPECT_EQ(got.completion_ids.back(), 2);
}

TEST(ExampleEncoder, TakesSpecialTokensInATargetAsText) {
  const Subject s(kChatMl);
  const auto got = s.encoder.encode({{"user", "hi"}}, "a<|im_end|>b");
  EXPECT_EQ(std::count(got.completion_ids.begin(), got.completion_ids.end(), 2), 1);
}

std::string turn(const char* role, const std::string& content) {
  return dump_json({{"role", role}, {"content", content}});
}

const std::string kThreeRounds =
    "{\"messages\":[" + turn("user", "a") + "," + turn("assistant", "x = 1") + "," +
    turn("user", "\nb ") + "," + turn("assistant", "<think>\nwhy\n</think>\n\n y\n") + "," +
    turn("user", "c") + "," + turn("assistant", "def f(x): return x") + "]}";

/// For each trained stretch of the sequences, in order: all ids before it, and its own.
std::vector<std::pair<std::vector<int32_t>, std::vector<int32_t>>> stretches(
    const std::vector<TrainSequence>& sequences) {
  std::vector<std::pair<std::vector<int32_t>, std::vector<int32_t>>> result;
  for (const TrainSequence& s : sequences) {
    std::vector<int32_t> before = s.prompt_ids;
    bool inside = false;
    for (size_t i = 0; i < s.completion_ids.size(); ++i) {
      const bool trained = s.trained.empty() || s.trained[i];
      if (trained && !inside) result.push_back({before, {}});
      if (trained) result.back().second.push_back(s.completion_ids[i]);
      before.push_back(s.completion_ids[i]);
      inside = trained;
    }
  }
  return result;
}

std::map<std::string, std::string> templates() {
  std::map<std::string, std::string> all = {{"ChatML", kChatMl}, {"open think", kOpensThink}};
  const Json fixture = read_json_file(test::fixture("jinja_templates.json"));
  for (const Json& c : fixture["cases"]) {
    const std::string jinja = c.value("template", "");
    if (jinja.find("SmolLM") != std::string::npos) all["SmolLM2"] = jinja;
  }
  const fs::path data = test::reference_data();
  if (data.empty()) return all;
  for (const auto& entry : fs::directory_iterator(data / "tokenizers" / "templates")) {
    all[entry.path().filename()] = read_file(entry.path());
  }
  all["Qwen3"] =
      read_json_file(data / "tokenizers" / "qwen3-tokenizer_config.json")["chat_template"]
          .get<std::string>();
  return all;
}

TEST(ExampleEncoder, TrainsOfEveryTurnWhatTheEngineWouldSampleAfterItsPrompt) {
  ASSERT_TRUE(templates().contains("SmolLM2"));
  for (const auto& [name, jinja] : templates()) {
    const Subject s(jinja);
    const auto found = stretches(s.encode(kThreeRounds));
    ASSERT_EQ(found.size(), 3u) << name;
    const Json turns = parse_json(kThreeRounds, "test")["messages"];
    std::vector<ChatMessage> before;
    size_t k = 0;
    for (const Json& t : turns) {
      const auto content = t["content"].get<std::string>();
      if (t["role"] == "assistant") {
        const TrainSequence alone = s.encoder.encode(before, content);
        EXPECT_EQ(found[k].first, alone.prompt_ids) << name << ", turn " << k;
        EXPECT_EQ(found[k].second, alone.completion_ids) << name << ", turn " << k;
        EXPECT_EQ(found[k].second.back(), 2) << name;
        ++k;
      }
      before.push_back({t["role"].get<std::string>(), content});
    }
  }
}

TEST(ExampleEncoder, KeepsAConversationWholeWhereItsTemplateKeepsWhatWasSampled) {
  const Subject s(kChatMl);
  const auto sequences = s.encode(kThreeRounds);
  ASSERT_EQ(sequences.size(), 1u);
  std::vector<int32_t> ids = sequences[0].prompt_ids;
  ids.insert(ids.end(), sequences[0].completion_ids.begin(), sequences[0].completion_ids.end());
  const Json turns = parse_json(kThreeRounds, "test")["messages"];
  const std::string whole = s.chat_template.render_json(turns, false);
  EXPECT_EQ(s.tokenizer->decode(ids) + "\n", whole);
}

TEST(ExampleEncoder, DividesAConversationWhereItsTemplateDropsReasoning) {
  const Subject s(kOpensThink);
  const auto sequences = s.encode(kThreeRounds);
  ASSERT_EQ(sequences.size(), 3u);
  EXPECT_EQ(s.tokenizer->decode(sequences[1].completion_ids), "why\n</think>\n\ny<|im_end|>");
  EXPECT_EQ(s.tokenizer->decode(sequences[2].prompt_ids).find("why"), std::string::npos);
}

TEST(ExampleEncoder, StopsAtTheTurnThatIsTooLong) {
  for (const auto& jinja : {kChatMl, kOpensThink}) {
    const Subject s(jinja);
    const auto first = s.encoder.encode({{"user", "a"}}, "x = 1");
    const size_t tokens = first.prompt_ids.size() + first.completion_ids.size();
    const auto sequences = s.encode(kThreeRounds, static_cast<int64_t>(tokens) - 1);
    ASSERT_EQ(sequences.size(), 1u);
    EXPECT_EQ(sequences[0].completion_ids, first.completion_ids);
  }
}

TEST(ExampleEncoder, GivesEachSequenceTheExamplesWeight) {
  std::string line = kThreeRounds;
  line.insert(1, "\"weight\":0.5,");
  for (const auto& s : Subject(kOpensThink).encode(line)) EXPECT_EQ(s.weight, 0.5);
}

std::string with_tools(const std::string& arguments = R"({"a":1})") {
  return R"({"tools":[{"type":"function","function":{"name":"add","parameters":{}}}],"messages":[)"
         R"({"role":"user","content":"1+1?"},{"role":"assistant","content":null,"tool_calls":[)"
         R"({"type":"function","function":{"name":"add","arguments":)" +
         arguments + R"(}}]},{"role":"tool","content":"2"},{"role":"assistant","content":"two"}]})";
}

TEST(ExampleEncoder, TrainsCallsOfToolsAsTheTemplateWritesThem) {
  const Subject s(kCallsTools);
  const auto found = stretches(s.encode(with_tools()));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(s.tokenizer->decode(found[0].second),
            R"(<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call><|im_end|>)");
  EXPECT_EQ(s.tokenizer->decode(found[1].second), "two<|im_end|>");
  const std::string prompt = s.tokenizer->decode(found[1].first);
  EXPECT_NE(prompt.find("<|im_start|>tool\n2<|im_end|>"), std::string::npos) << prompt;
  EXPECT_EQ(prompt.find("<|im_start|>system\n[{"), 0u) << prompt;
}

TEST(ExampleEncoder, TrainsCallsUnderPublishedTemplates) {
  const fs::path data = test::reference_data();
  if (data.empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
  for (const auto& [name, jinja] : templates()) {
    if (name != "Qwen3" && name.find("Qwen2.5") == std::string::npos) continue;
    const Subject s(jinja);
    const auto found = stretches(s.encode(with_tools()));
    ASSERT_EQ(found.size(), 2u) << name;
    const std::string call = s.tokenizer->decode(found[0].second);
    const std::string expected =
        "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call><|im_end|>";
    EXPECT_TRUE(call.ends_with(expected)) << name << ": " << call;
    EXPECT_EQ(s.tokenizer->decode(found[1].second), "two<|im_end|>") << name;
  }
}

TEST(ExampleEncoder, RefusesWhatATemplateWouldLeaveOut) {
  const auto error = [](const std::string& jinja, const std::string& line) {
    return test::input_error([&] { Subject(jinja).encode(line); });
  };
  EXPECT_NE(error(kChatMl, with_tools()).find("does not write \"tools\""), std::string::npos);
  std::string without = with_tools();
  without.replace(without.find("\"tools\""), 7, "\"meta\"");
  const std::string says_nothing =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}<|im_end|>\n"
      "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  EXPECT_NE(error(says_nothing, without).find("does not write \"tool_calls\""), std::string::npos);
  without.replace(without.find("\"content\":null"), 14, "\"content\":null,\"train\":false");
  EXPECT_NE(error(says_nothing, without).find("does not write \"tool_calls\""), std::string::npos);
  EXPECT_NE(error(kCallsTools, with_tools(R"({"a":"<|im_end|>"})")).find("special token"),
            std::string::npos);
}

TEST(ExampleEncoder, TrainsEveryTokenOfATextButTheFirst) {
  const Subject s(kChatMl);
  const auto sequences = s.encode(R"({"text":"x = 1"})");
  ASSERT_EQ(sequences.size(), 1u);
  EXPECT_EQ(sequences[0].prompt_ids.size(), 1u);
  std::vector<int32_t> ids = sequences[0].prompt_ids;
  ids.insert(ids.end(), sequences[0].completion_ids.begin(), sequences[0].completion_ids.end());
  std::vector<int32_t> expected = s.tokenizer->encode("x = 1");
  expected.push_back(2);
  EXPECT_EQ(ids, expected);
}

}  // namespace
}  // namespace weft
