#include "trainer/learn/sft/example_encoder.h"

#include <algorithm>
#include <stdexcept>

#include "base/error.h"

namespace weft {
namespace {

Json variables(const Json& tools) {
  return tools.is_null() ? Json::object() : Json{{"tools", tools}};
}

const Json& function_of(const Json& call) {
  return call.contains("function") ? call["function"] : call;
}

/// Refuses a template that leaves out what it was given: it is no example of it then.
void require_names(const std::string& rendered, const Json& functions, const char* what) {
  for (const Json& item : functions) {
    const auto name = function_of(item)["name"].get<std::string>();
    if (rendered.find(name) == std::string::npos) {
      throw InputError(std::string("the model's chat template does not write \"") + what +
                       "\": the function " + name + " is not in what it renders");
    }
  }
}

bool begins_with(const std::vector<int32_t>& ids, const std::vector<int32_t>& beginning) {
  return ids.size() >= beginning.size() &&
         std::equal(beginning.begin(), beginning.end(), ids.begin());
}

void append(std::vector<int32_t>& ids, const std::vector<int32_t>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

/// Adds a later turn of the same conversation, and what lies between as context.
void extend(TrainSequence& sequence, const std::vector<int32_t>& between,
            const std::vector<int32_t>& target) {
  std::vector<uint8_t>& trained = sequence.trained;
  if (trained.empty()) trained.assign(sequence.completion_ids.size(), 1);
  append(sequence.completion_ids, between);
  trained.resize(sequence.completion_ids.size(), 0);
  append(sequence.completion_ids, target);
  trained.resize(sequence.completion_ids.size(), 1);
}

}  // namespace

ExampleEncoder::ExampleEncoder(const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                               std::vector<int32_t> eos_ids)
    : tokenizer_(tokenizer), chat_template_(chat_template), eos_ids_(std::move(eos_ids)) {
  if (eos_ids_.empty()) throw InputError("the model's config names no end-of-text token");
  if (chat_template_ != nullptr) reasoning_form_.emplace(*chat_template_);
  turn_end_ = chat_template_ != nullptr ? turn_end() : eos_ids_.front();
}

bool ExampleEncoder::is_eos(int32_t id) const {
  return std::find(eos_ids_.begin(), eos_ids_.end(), id) != eos_ids_.end();
}

int32_t ExampleEncoder::turn_end() const {
  const std::string mark = "Weft";
  const std::string text = chat_template_->render({{"user", "Hello"}, {"assistant", mark}}, false);
  const size_t end = text.rfind(mark);
  if (end == std::string::npos) return eos_ids_.front();
  for (const int32_t id : tokenizer_.encode(text.substr(end + mark.size()), false)) {
    if (is_eos(id)) return id;
  }
  return eos_ids_.front();
}

std::vector<int32_t> ExampleEncoder::completion_ids(const std::string& text, int32_t eos) const {
  std::vector<int32_t> ids = tokenizer_.encode(text, /*add_special=*/false,
                                               /*parse_special=*/false);
  ids.push_back(eos);
  return ids;
}

TrainSequence ExampleEncoder::encode(const std::vector<ChatMessage>& prompt,
                                     const AssistantTurn& turn) const {
  if (!reasoning_form_) {
    throw InputError("the model has no chat template: \"messages\" cannot be used with it");
  }
  return {tokenizer_.encode(chat_template_->render(prompt, true), /*add_special=*/false),
          completion_ids(reasoning_form_->target(turn), turn_end_)};
}

TrainSequence ExampleEncoder::encode(const std::vector<ChatMessage>& prompt,
                                     const std::string& completion) const {
  const bool lay_out = reasoning_form_ && reasoning_form_->has_part();
  return encode(prompt, lay_out ? split_reasoning(completion) : AssistantTurn{"", completion});
}

TrainSequence ExampleEncoder::encode(const std::string& prompt,
                                     const std::string& completion) const {
  return {tokenizer_.encode(prompt), completion_ids(completion, eos_ids_.front())};
}

TrainSequence ExampleEncoder::encode_text(const std::string& text) const {
  std::vector<int32_t> ids = tokenizer_.encode(text);
  if (!ids.empty() && !is_eos(ids.back())) ids.push_back(eos_ids_.front());
  if (ids.size() < 2) throw InputError("\"text\": expected a token to train, got none");
  return {{ids.front()}, {ids.begin() + 1, ids.end()}};
}

std::string ExampleEncoder::prompt_of(const Json& messages, const Json& tools) const {
  const std::string prompt = chat_template_->render_json(messages, true, variables(tools));
  if (!tools.is_null()) require_names(prompt, tools, "tools");
  return prompt;
}

std::vector<int32_t> ExampleEncoder::target_of(const Json& messages, const std::string& prompt,
                                               const Json& turn, const Json& tools) const {
  if (turn.contains("tool_calls")) return tool_calls_of(messages, prompt, turn, tools);
  const auto content = turn["content"].get<std::string>();
  AssistantTurn target{turn.value("reasoning_content", ""), content};
  const bool lay_out = target.reasoning.empty() && reasoning_form_->has_part();
  if (lay_out) target = split_reasoning(content);
  return completion_ids(reasoning_form_->target(target), turn_end_);
}

/// Calls have no form but the template's own: what it writes of the turn after the generation
/// prompt, up to the end-of-text token.
std::vector<int32_t> ExampleEncoder::tool_calls_of(const Json& messages, const std::string& prompt,
                                                   const Json& turn, const Json& tools) const {
  Json with_turn = messages;
  with_turn.push_back(turn);
  const std::string whole = chat_template_->render_json(with_turn, false, variables(tools));
  if (!whole.starts_with(prompt)) {
    throw InputError(
        "the model's chat template does not write \"tool_calls\" behind its generation prompt: a "
        "turn of calls cannot be trained with it (\"train\": false keeps it as context)");
  }
  const std::string written = whole.substr(prompt.size());
  require_names(written, turn["tool_calls"], "tool_calls");
  for (const std::string& own :
       {turn["content"].is_null() ? "" : turn["content"].get<std::string>(),
        dump_json(turn["tool_calls"])}) {
    if (tokenizer_.encode(own, false, true) != tokenizer_.encode(own, false, false)) {
      throw InputError("a turn of \"tool_calls\" holds the text of a special token");
    }
  }
  std::vector<int32_t> ids = tokenizer_.encode(written, /*add_special=*/false);
  const auto end = std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return is_eos(id); });
  const int32_t last = end == ids.end() ? turn_end_ : *end;
  ids.erase(end, ids.end());
  ids.push_back(last);
  return ids;
}

std::vector<TrainSequence> ExampleEncoder::encode_conversation(const ExampleLine& example,
                                                               int64_t max_tokens) const {
  if (!reasoning_form_) {
    throw InputError("the model has no chat template: \"messages\" cannot be used with it");
  }
  std::vector<TrainSequence> result;
  std::vector<int32_t> so_far;  // prompt and completion of the sequence that may grow
  Json messages = Json::array();
  for (const ConversationTurn& turn : example.turns) {
    if (turn.trained) {
      const std::string prompt = prompt_of(messages, example.tools);
      const std::vector<int32_t> ids = tokenizer_.encode(prompt, /*add_special=*/false);
      const std::vector<int32_t> target = target_of(messages, prompt, turn.message, example.tools);
      if (!result.empty() && begins_with(ids, so_far)) {
        extend(result.back(), {ids.begin() + static_cast<ptrdiff_t>(so_far.size()), ids.end()},
               target);
      } else {
        result.push_back({ids, target});
      }
      so_far = ids;
      append(so_far, target);
      if (static_cast<int64_t>(so_far.size()) > max_tokens) break;
    } else if (turn.message.contains("tool_calls")) {
      // What the template leaves out of a turn that is context is missed by the turns that follow.
      Json with_turn = messages;
      with_turn.push_back(turn.message);
      require_names(chat_template_->render_json(with_turn, false, variables(example.tools)),
                    turn.message["tool_calls"], "tool_calls");
    }
    messages.push_back(turn.message);
  }
  return result;
}

std::vector<TrainSequence> ExampleEncoder::encode(const ExampleLine& example,
                                                  int64_t max_tokens) const {
  std::vector<TrainSequence> result;
  if (example.is_conversation()) {
    result = encode_conversation(example, max_tokens);
  } else if (example.has_prompt) {
    result.push_back(encode(example.prompt, example.completion));
  } else {
    result.push_back(encode_text(example.completion));
  }
  for (TrainSequence& sequence : result) {
    if (sequence.prompt_ids.empty()) {
      throw InputError("\"prompt\": expected at least one token, got none");
    }
    sequence.weight = example.weight;
  }
  return result;
}

}  // namespace weft
