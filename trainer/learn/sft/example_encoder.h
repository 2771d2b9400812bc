/// From an example's text to the ids that a model is trained on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/text_model.h"
#include "model/tokenizer/chat_template.h"
#include "model/tokenizer/reasoning_form.h"
#include "model/tokenizer/tokenizer.h"
#include "trainer/learn/sft/example_line.h"
#include "trainer/learn/update/packing.h"

namespace weft {

/// Turns conversations and texts into ids as the engine does: each trained turn's ids are those
/// that the engine would sample after the prompt up to that turn, the end-of-text token included.
/// Borrows both; `chat_template` may be null where no messages occur.
class ExampleEncoder {
 public:
  /// `eos_ids` are the model's; throws InputError where there are none.
  ExampleEncoder(const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                 std::vector<int32_t> eos_ids);

  /// The sequences of an example, each with its weight: one, or several where the chat template
  /// writes the prompt of a later turn otherwise than an earlier trained turn was sampled (it drops
  /// earlier reasoning, say). Each of those begins with the prompt of its first trained turn.
  /// Goes no further than the first sequence of more than `max_tokens`, the last one then. Throws
  /// InputError or std::invalid_argument without a place.
  std::vector<TrainSequence> encode(const ExampleLine& example, int64_t max_tokens) const;

  /// Prompt through the chat template with the generation prompt; completion in the template's form
  /// (ReasoningForm) without special tokens, closed by the end-of-text token that the template puts
  /// after an assistant's turn.
  TrainSequence encode(const std::vector<ChatMessage>& prompt, const AssistantTurn& turn) const;

  /// The same for a text as somebody stored it: its "<think>..</think>" is laid out anew where the
  /// template gives reasoning a part of its own, else kept as it stands. Throws
  /// std::invalid_argument where that part is not closed.
  TrainSequence encode(const std::vector<ChatMessage>& prompt, const std::string& completion) const;

  /// Plain text; the prompt gets the tokenizer's special tokens, the completion ends with the
  /// model's first end-of-text token.
  TrainSequence encode(const std::string& prompt, const std::string& completion) const;

  /// A text of its own with the tokenizer's special tokens and the model's first end-of-text token:
  /// every token but the first, which nothing predicts, is trained.
  TrainSequence encode_text(const std::string& text) const;

 private:
  int32_t turn_end() const;
  bool is_eos(int32_t id) const;
  std::vector<int32_t> completion_ids(const std::string& text, int32_t eos) const;
  std::string prompt_of(const Json& messages, const Json& tools) const;
  std::vector<int32_t> target_of(const Json& messages, const std::string& prompt, const Json& turn,
                                 const Json& tools) const;
  std::vector<int32_t> tool_calls_of(const Json& messages, const std::string& prompt,
                                     const Json& turn, const Json& tools) const;
  std::vector<TrainSequence> encode_conversation(const ExampleLine& example,
                                                 int64_t max_tokens) const;

  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_template_;
  std::vector<int32_t> eos_ids_;
  std::optional<ReasoningForm> reasoning_form_;  ///< where there is a template
  int32_t turn_end_ = -1;
};

}  // namespace weft
