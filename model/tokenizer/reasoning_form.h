/// Where a chat template wants the reasoning of an assistant's turn, as the model is to write it.
#pragma once

#include <string>
#include <string_view>

#include "model/tokenizer/chat_template.h"

namespace weft {

/// An assistant's turn in its two parts.
struct AssistantTurn {
  std::string reasoning;  ///< may be empty
  std::string content;
};

/// Takes a text apart at its "<think>..</think>", or at a lone "</think>" where the prompt had
/// opened the part; without either all of it is content. Throws std::invalid_argument where
/// "<think>" opens the text and nothing closes it.
AssistantTurn split_reasoning(std::string_view text);

/// How the continuation of a generation prompt is laid out. Read off the template itself, by
/// rendering a conversation with marks in the place of its parts.
class ReasoningForm {
 public:
  /// - A prompt that ends in an open "<think>" (DeepSeek-R1's): reasoning, "</think>", content; the
  ///   part is closed even where there is no reasoning.
  /// - A template that writes `reasoning_content` (Qwen3's): what it puts before, between and
  /// after.
  /// - Any other: reasoning, newline, content.
  explicit ReasoningForm(const ChatTemplate& chat_template);

  /// What the model is to write after the generation prompt, without the end of the turn.
  std::string target(const AssistantTurn& turn) const;

  /// Whether reasoning has a part of its own, so that a text's "<think>" is to be laid out anew.
  bool has_part() const { return prompt_opens_ || !before_.empty(); }

 private:
  bool prompt_opens_ = false;
  std::string before_;          ///< opens the part, where the model itself has to
  std::string between_ = "\n";  ///< from the reasoning to the content
};

}  // namespace weft
