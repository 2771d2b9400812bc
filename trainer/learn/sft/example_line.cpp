#include "trainer/learn/sft/example_line.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"

namespace weft {
namespace {

constexpr double kLeastWeight = 1e-30, kMostWeight = 1e30;  // weights are multiplied in fp32

/// Fields of other programs that change what is learnt, and what to do about each.
const std::map<std::string, const char*> kLineRefusals = {
    {"system", "write it as the first message"},
    {"functions", "write it as \"tools\""},
    {"chat_template_kwargs", "the chat template gets messages and tools alone"},
    {"documents", "the chat template gets messages and tools alone"},
    {"images", "the model reads text"},
    {"videos", "the model reads text"},
    {"audios", "the model reads text"},
    {"loss_mask", "write \"train\" in the messages"},
};
const std::map<std::string, const char*> kMessageRefusals = {
    {"function_call", "write it as \"tool_calls\""},
    {"thinking", "write it as \"reasoning_content\""},
    {"training", "write it as \"train\""},
    {"train_detail", "a turn is trained whole or not"},
    {"training_detail", "a turn is trained whole or not"},
    {"loss", "write it as \"train\""},
    {"prefix", "a turn is trained whole or not"},
    {"images", "the model reads text"},
};

const Json* field(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

[[noreturn]] void throw_expected(const std::string& where, const char* key,
                                 const std::string& expected, const Json& got) {
  throw_field_error(where, key, expected.c_str(), &got);
}

/// Refuses fields that would change the meaning and counts those that nobody reads.
void check_fields(const Json& object, const FieldNames& known,
                  const std::map<std::string, const char*>& refusals, const std::string& prefix,
                  const std::string& where, FieldCounts& further) {
  for (const auto& [key, value] : object.items()) {
    const auto refused = value.is_null() ? refusals.end() : refusals.find(key);
    if (refused == refusals.end()) continue;
    throw InputError(where + ": field \"" + key + "\" is not read: " + refused->second);
  }
  count_further_fields(object, known, where, further, prefix);
}

/// Whether a message asks for its turn to be trained; nothing where it does not say.
std::optional<bool> asked_training(const Json& message, const std::string& where) {
  std::optional<bool> asked;
  for (const char* key : {"train", "weight"}) {
    const Json* value = field(message, key);
    if (!value) continue;
    const bool is_flag =
        value->is_boolean() ||
        (value->is_number() && (value->get<double>() == 0 || value->get<double>() == 1));
    if (!is_flag) throw_expected(where, key, "0, 1, true or false", *value);
    const bool wanted = value->is_boolean() ? value->get<bool>() : value->get<double>() == 1;
    if (asked && *asked != wanted) {
      throw InputError(where + ": \"train\" and \"weight\" contradict each other");
    }
    asked = wanted;
  }
  return asked;
}

/// One call as templates read it: its arguments as an object.
Json tool_call(const Json& call, const std::string& where) {
  if (!call.is_object())
    throw InputError(where + ": expected an object, got " + describe_type(call));
  Json result = call;
  Json& function = result.contains("function") ? result["function"] : result;
  get_field<std::string>(function, "name", where);
  const Json arguments = get_field_or<Json>(function, "arguments", Json::object(), where);
  Json read = arguments;
  if (arguments.is_string()) {
    const auto& text = arguments.get_ref<const std::string&>();
    read = text.empty() ? Json::object() : Json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  if (!read.is_object()) {
    throw_expected(where, "arguments", "an object or the JSON of one", arguments);
  }
  function["arguments"] = read;
  return result;
}

/// The message as the chat template gets it.
Json template_message(const Json& message, const std::string& where) {
  static const FieldNames roles = {"system", "user", "assistant", "tool"};
  const auto role = get_field<std::string>(message, "role", where);
  if (!std::count(roles.begin(), roles.end(), role)) {
    throw_expected(where, "role", "system, user, assistant or tool", message["role"]);
  }
  const bool assistant = role == "assistant";
  Json result = {{"role", role}};
  const Json* calls = field(message, "tool_calls");
  if (calls && !(assistant && calls->is_array())) {
    throw_expected(where, "tool_calls", "an array, and of an assistant's message", *calls);
  }
  if (calls && calls->empty()) calls = nullptr;
  if (calls && !field(message, "content")) {
    result["content"] = nullptr;
  } else {
    result["content"] = get_field<std::string>(message, "content", where);
  }
  for (const char* key : {"reasoning_content", "reasoning"}) {
    const auto reasoning = get_field_or<std::string>(message, key, "", where);
    if (reasoning.empty()) continue;
    if (!assistant) throw_expected(where, key, "none but in an assistant's message", message[key]);
    if (!result.contains("reasoning_content")) result["reasoning_content"] = reasoning;
  }
  for (const char* key : {"name", "tool_call_id"}) {
    if (field(message, key)) result[key] = get_field<std::string>(message, key, where);
  }
  if (calls) {
    result["tool_calls"] = Json::array();
    for (size_t i = 0; i < calls->size(); ++i) {
      result["tool_calls"].push_back(
          tool_call((*calls)[i], where + ": tool_calls[" + std::to_string(i) + "]"));
    }
  }
  return result;
}

bool is_assistant(const ConversationTurn& turn) { return turn.message["role"] == "assistant"; }

/// Reads messages behind those that are there; the assistant's are trained by default where
/// `by_default` says so.
void add_messages(const Json& messages, const char* key, const std::string& where, bool by_default,
                  std::vector<ConversationTurn>& turns, FieldCounts& further) {
  static const FieldNames known = {"role",       "content",      "reasoning_content",
                                   "reasoning",  "train",        "weight",
                                   "tool_calls", "tool_call_id", "name"};
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string place = where + ": " + key + "[" + std::to_string(i) + "]";
    const Json& message = messages[i];
    if (!message.is_object()) {
      throw InputError(place + ": expected an object, got " + describe_type(message));
    }
    check_fields(message, known, kMessageRefusals, "message.", place, further);
    ConversationTurn turn{template_message(message, place), false};
    const auto asked = asked_training(message, place);
    if (asked && *asked && !(is_assistant(turn) && !turns.empty())) {
      throw InputError(
          place + ": asks to be trained, expected a turn of the assistant that answers another");
    }
    turn.trained = asked.value_or(by_default && is_assistant(turn) && !turns.empty());
    turns.push_back(std::move(turn));
  }
}

/// Whether the last turn is trained where it is the assistant's and says nothing itself.
void train_last(const Json& messages, const char* key, const std::string& where,
                std::vector<ConversationTurn>& turns) {
  const bool some = std::any_of(turns.begin(), turns.end(), [](auto& t) { return t.trained; });
  const bool last = turns.size() > 1 && is_assistant(turns.back());
  if (!last && !some) {
    throw InputError(where + ": \"" + key +
                     "\": expected turns that end with one of the assistant");
  }
  if (last && !asked_training(messages.back(), where)) turns.back().trained = true;
}

/// ShareGPT's turns as messages.
Json messages_of_conversations(const Json& conversations, const std::string& where) {
  static const std::map<std::string, const char*> roles = {
      {"human", "user"},    {"user", "user"}, {"gpt", "assistant"},   {"assistant", "assistant"},
      {"system", "system"}, {"tool", "tool"}, {"observation", "tool"}};
  Json messages = Json::array();
  for (size_t i = 0; i < conversations.size(); ++i) {
    const std::string place = where + ": conversations[" + std::to_string(i) + "]";
    Json message = conversations[i];
    if (message.is_object() && !message.contains("role")) {
      const auto role = roles.find(get_field<std::string>(message, "from", place));
      if (role == roles.end()) {
        throw_expected(place, "from", "human, gpt, system or tool (others as \"messages\")",
                       message["from"]);
      }
      message["role"] = role->second;
      message["content"] = get_field<std::string>(message, "value", place);
      message.erase("from");
      message.erase("value");
    }
    messages.push_back(message);
  }
  return messages;
}

std::string names_of_fields(const Json& line) {
  std::string names;
  for (const auto& [key, value] : line.items())
    names += (names.empty() ? "\"" : ", \"") + key + "\"";
  return names.empty() ? "none" : names.substr(0, 200);
}

double example_weight(const Json& line, const std::string& where) {
  const auto weight = get_field_or<double>(line, "weight", 1, where);
  if (weight != 0 && !(weight >= kLeastWeight && weight <= kMostWeight)) {
    throw_expected(where, "weight", "0 or a number in [1e-30, 1e30]", line["weight"]);
  }
  return weight;
}

void read_tools(const Json& line, const std::string& where, ExampleLine& example) {
  const Json* tools = field(line, "tools");
  if (!tools || (tools->is_array() && tools->empty())) return;
  get_field<std::vector<Json>>(line, "tools", where);
  for (const Json& tool : *tools) {
    const Json& function = tool.is_object() && tool.contains("function") ? tool["function"] : tool;
    get_field<std::string>(function, "name", where + ": tools");
  }
  example.tools = *tools;
}

void read_conversation(const Json& line, const std::string& where, TrainTurns train_turns,
                       ExampleLine& example, FieldCounts& further) {
  const bool share_gpt = !field(line, "messages");
  const char* key = share_gpt ? "conversations" : "messages";
  get_field<std::vector<Json>>(line, key, where);
  const Json messages = share_gpt ? messages_of_conversations(line[key], where) : line[key];
  const bool all = train_turns == TrainTurns::kAll;
  add_messages(messages, key, where, all, example.turns, further);
  if (!all) train_last(messages, key, where, example.turns);
}

void read_pair_of_messages(const Json& line, const std::string& where, ExampleLine& example,
                           FieldCounts& further) {
  for (const char* key : {"prompt", "completion"}) {
    if (get_field<std::vector<Json>>(line, key, where).empty()) {
      throw InputError(where + ": field \"" + key + "\": expected at least one message, got none");
    }
    add_messages(line[key], key, where, *key == 'c', example.turns, further);
    if (*key == 'p' && is_assistant(example.turns.back())) {
      throw InputError(where +
                       ": field \"prompt\": expected a last message that the assistant is to " +
                       "answer, got one of the assistant");
    }
  }
}

/// Refuses an empty turn: a model that has learnt it says nothing.
void check_trained(const ExampleLine& example, const std::string& where) {
  bool some = false;
  for (const ConversationTurn& turn : example.turns) {
    if (!turn.trained) continue;
    some = true;
    const Json& content = turn.message["content"];
    if (content == "" && !turn.message.contains("tool_calls") &&
        !turn.message.contains("reasoning_content")) {
      throw InputError(where +
                       ": expected text in a trained turn of the assistant, got an empty one");
    }
  }
  if (!some) throw InputError(where + ": expected a turn of the assistant to train, got none");
}

}  // namespace

EnumTable<TrainTurns> enum_table(TrainTurns) {
  return {{TrainTurns::kLast, "last"}, {TrainTurns::kAll, "all"}};
}

ExampleLine parse_example_line(const Json& line, const std::string& where, TrainTurns train_turns,
                               FieldCounts& further) {
  if (!line.is_object())
    throw InputError(where + ": expected an object, got " + describe_type(line));
  ExampleLine example;
  FieldNames known = {"weight"};
  const bool pair = field(line, "prompt") && line.contains("completion");
  if (field(line, "messages") || (field(line, "conversations") && !pair)) {
    known.insert(known.end(), {field(line, "messages") ? "messages" : "conversations", "tools"});
    read_conversation(line, where, train_turns, example, further);
    read_tools(line, where, example);
  } else if (pair && line["prompt"].is_array()) {
    known.insert(known.end(), {"prompt", "completion", "tools"});
    read_pair_of_messages(line, where, example, further);
    read_tools(line, where, example);
  } else if (field(line, "prompt") || field(line, "completion")) {
    known.insert(known.end(), {"prompt", "completion"});
    example.prompt = get_field<std::string>(line, "prompt", where);
    example.completion = get_field<std::string>(line, "completion", where);
    example.has_prompt = true;
  } else if (field(line, "text")) {
    known.push_back("text");
    example.completion = get_field<std::string>(line, "text", where);
  } else {
    throw InputError(where + ": expected \"messages\", \"prompt\" and \"completion\", " +
                     "\"conversations\" or \"text\", got the fields " + names_of_fields(line));
  }
  check_fields(line, known, kLineRefusals, "", where, further);
  example.weight = example_weight(line, where);
  if (example.is_conversation()) {
    check_trained(example, where);
  } else if (example.completion.empty()) {
    throw_expected(where, example.has_prompt ? "completion" : "text", "text to train", Json(""));
  }
  return example;
}

}  // namespace weft
