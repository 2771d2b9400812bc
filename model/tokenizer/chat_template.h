/// Chat templates: the Jinja programs that models bring along to turn messages into a prompt.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/text_model.h"

namespace weft {

/// Renders as transformers does: Jinja2's immutable sandbox with trim_blocks and lstrip_blocks. The
/// language is the subset of Jinja2 that published chat templates use (model/tokenizer/jinja); what
/// is outside it is refused by name, never rendered otherwise.
///
/// A template comes with a model and is not trusted. One rendering makes at most 10 million steps
/// and 256 MiB of text, and is at most 400 levels deep; a template has at most a million bytes,
/// integers 127 bits, values 256 levels. Beyond any of them: InputError.
///
/// Immutable; may be used from any thread.
class ChatTemplate {
 public:
  /// From a model's folder: chat_template.jinja, else chat_template of tokenizer_config.json (of
  /// several ones "default"), with bos_token and eos_token of the latter. Throws InputError when
  /// there is none or it cannot be parsed.
  static ChatTemplate load(const std::filesystem::path& model_dir);

  /// Throws InputError naming line and construct. An empty `bos` or `eos` is undefined inside.
  explicit ChatTemplate(const std::string& jinja, std::string bos = "", std::string eos = "");

  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// The prompt; encode it without adding special tokens, the template has written them.
  /// `extra` (an object) sets further variables: tools, enable_thinking, date_string, ...
  /// Throws InputError when the template refuses the messages.
  std::string render(const std::vector<ChatMessage>& messages, bool add_generation_prompt,
                     const Json& extra = Json::object()) const;

  /// The same for messages with fields beyond role and content (an array of objects).
  std::string render_json(const Json& messages, bool add_generation_prompt,
                          const Json& extra = Json::object()) const;

 private:
  struct Program;
  std::unique_ptr<Program> program_;
};

}  // namespace weft
