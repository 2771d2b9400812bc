/// The forms in which supervised examples are written, one JSON object a line, and what is wrong
/// with a line.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/json.h"
#include "base/known_fields.h"

namespace weft {

/// Which turns of the assistant are learnt where a message does not say so itself.
enum class TrainTurns {
  kLast,  ///< the conversation's last one
  kAll,   ///< every one that answers another turn
};
EnumTable<TrainTurns> enum_table(TrainTurns);

struct ConversationTurn {
  Json message;  ///< role, content and what else the chat template may read
  bool trained = false;
};

/// One line: a conversation, or texts.
struct ExampleLine {
  std::vector<ConversationTurn> turns;  ///< not empty: a conversation, a turn of which is trained
  Json tools;                           ///< array handed to the chat template, or null
  std::string prompt;                   ///< of texts; empty where the completion is all there is
  std::string completion;               ///< of texts; all of it is trained
  bool has_prompt = false;              ///< false: the completion is a text of its own
  double weight = 1;                    ///< of the example's loss; 0 or in [1e-30, 1e30]

  bool is_conversation() const { return !turns.empty(); }
};

/// Reads one line in the first of these forms that it has; the fields of another are then further
/// ones:
///
///   {"messages": [{"role", "content"}, ..]}
///   {"prompt": text, "completion": text}, or both as lists of messages: then every turn of the
///     assistant in "completion" is trained
///   {"conversations": [{"from": "human" | "gpt" | "system" | "tool", "value"}, ..]} (ShareGPT's)
///   {"text": text}: all of it is trained
///
/// Beside any of them "weight" (of the example's loss), beside a conversation "tools". A message is
/// of the role system, user, assistant or tool; the assistant's may have "reasoning_content" (or
/// "reasoning") and "tool_calls", whose "arguments" may be an object or its JSON, and then a null
/// content; the tool's "tool_call_id" and "name". "train" (true, false) or "weight" (1, 0) of a
/// message say whether its turn is trained. A null field is none.
///
/// Further fields are counted in `further`. Throws InputError naming `where` and field: a wrong
/// type, an unknown role, a misspelt field or one that would change what the line means, nothing to
/// train.
ExampleLine parse_example_line(const Json& line, const std::string& where, TrainTurns train_turns,
                               FieldCounts& further);

}  // namespace weft
