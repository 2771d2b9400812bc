#include "model/tokenizer/reasoning_form.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

// Three templates in the manners of SmolLM2, Qwen3 and DeepSeek-R1.
constexpr const char* kPlain =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";
constexpr const char* kWritesReasoning =
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
constexpr const char* kOpensThink =
    "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>')[-1] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant><think>\n{% endif %}";

std::string target(const std::string& jinja, const AssistantTurn& turn) {
  return ReasoningForm(ChatTemplate(jinja)).target(turn);
}

TEST(ReasoningForm, WritesReasoningBeforeTheContentWhereATemplateKnowsNone) {
  EXPECT_EQ(target(kPlain, {"Because.", "x"}), "Because.\nx");
  EXPECT_EQ(target(kPlain, {"", "x"}), "x");
  EXPECT_FALSE(ReasoningForm(ChatTemplate(kPlain)).has_part());
}

TEST(ReasoningForm, OpensAndClosesThePartThatATemplateWrites) {
  EXPECT_EQ(target(kWritesReasoning, {"Because.", "x"}), "<think>\nBecause.\n</think>\n\nx");
  EXPECT_EQ(target(kWritesReasoning, {"", "x"}), "x");
}

TEST(ReasoningForm, ClosesThePartThatThePromptOpened) {
  EXPECT_EQ(target(kOpensThink, {"Because.", "x"}), "Because.\n</think>\n\nx");
  EXPECT_EQ(target(kOpensThink, {"", "x"}), "\n</think>\n\nx");
}

TEST(ReasoningForm, PublishedTemplatesGetOnePartEach) {
  const auto data = test::reference_data();
  if (data.empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
  const auto templates = data / "tokenizers" / "templates";
  for (const char* file : {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja",
                           "deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja"}) {
    EXPECT_EQ(target(read_file(templates / file), {"R", "C"}), "R\n</think>\n\nC") << file;
  }
  EXPECT_EQ(target(read_file(templates / "Qwen-Qwen2.5-7B-Instruct.jinja"), {"R", "C"}), "R\nC");
  const Json qwen3 = read_json_file(data / "tokenizers" / "qwen3-tokenizer_config.json");
  EXPECT_EQ(target(qwen3["chat_template"].get<std::string>(), {"R", "C"}),
            "<think>\nR\n</think>\n\nC");
}

TEST(SplitReasoning, TakesBothFormsApart) {
  for (const char* text :
       {"<think>\nR\n</think>\n\nC", "R\n</think>\nC", "\n<think>R</think>C\n"}) {
    const AssistantTurn turn = split_reasoning(text);
    EXPECT_EQ(turn.reasoning, "R") << text;
    EXPECT_EQ(turn.content, "C") << text;
  }
  EXPECT_EQ(split_reasoning(" just content ").content, " just content ");
  EXPECT_EQ(split_reasoning("<think>\n\n</think>\n\nC").reasoning, "");
}

TEST(SplitReasoning, RefusesAPartThatIsNotClosed) {
  EXPECT_THROW(split_reasoning("<think>\nR and so on"), std::invalid_argument);
}

}  // namespace
}  // namespace weft
