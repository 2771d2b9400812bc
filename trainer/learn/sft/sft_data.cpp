#include "trainer/learn/sft/sft_data.h"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "base/jsonl.h"
#include "data/task.h"
#include "workflow/completion_form.h"

namespace weft {
namespace {

void append(SftData& data, TrainSequence sequence, const SftDataOptions& options) {
  const size_t tokens = sequence.prompt_ids.size() + sequence.completion_ids.size();
  if (static_cast<int64_t>(tokens) > options.max_tokens) {
    ++data.num_too_long;
  } else {
    data.sequences.push_back(std::move(sequence));
  }
}

void check_not_empty(const SftData& data, const std::string& source) {
  if (data.sequences.empty()) {
    throw InputError(source + ": expected at least one example, got none (" +
                     std::to_string(data.num_too_long) + " longer than max_tokens)");
  }
}

std::string reasoning_of(const Json& turn, const std::string& where) {
  std::string reasoning;
  for (const char* key : {"reasoning_content", "reasoning"}) {
    if (turn.contains(key) && turn[key].is_null()) continue;
    if (reasoning.empty()) reasoning = get_field_or<std::string>(turn, key, "", where);
  }
  return reasoning;
}

TrainSequence encode_messages(const Json& messages, const std::string& where,
                              const ExampleEncoder& encoder) {
  std::vector<ChatMessage> turns;
  for (const Json& turn : messages) {
    turns.push_back({get_field<std::string>(turn, "role", where),
                     get_field<std::string>(turn, "content", where)});
  }
  if (turns.size() < 2 || turns.back().role != "assistant") {
    throw InputError(where + ": \"messages\": expected turns that end with one of the assistant");
  }
  AssistantTurn target{reasoning_of(messages.back(), where), turns.back().content};
  turns.pop_back();
  try {
    return target.reasoning.empty() ? encoder.encode(turns, target.content)
                                    : encoder.encode(turns, target);
  } catch (const std::invalid_argument& error) {
    throw InputError(where + ": " + error.what());
  }
}

TrainSequence encode_line(const Json& line, const std::string& where,
                          const ExampleEncoder& encoder) {
  if (line.contains("messages")) {
    return encode_messages(get_field<std::vector<Json>>(line, "messages", where), where, encoder);
  }
  TrainSequence result = encoder.encode(get_field<std::string>(line, "prompt", where),
                                        get_field<std::string>(line, "completion", where));
  if (result.prompt_ids.empty()) {
    throw InputError(where + ": \"prompt\": expected at least one token, got none");
  }
  return result;
}

}  // namespace

void SftDataOptions::validate() const {
  if (!store.empty() && !jsonl.empty()) {
    throw InputError("expected one of \"store\" and \"jsonl\", got both");
  }
}

void SftDataOptions::require_source() const {
  if (store.empty() && jsonl.empty()) {
    throw InputError("data: expected one of \"store\" and \"jsonl\", got neither");
  }
  if (!store.empty() && tasks.empty()) {
    throw InputError("data.tasks: expected the task files of the store, got none");
  }
}

ExampleEncoder::ExampleEncoder(const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                               std::vector<int32_t> eos_ids)
    : tokenizer_(tokenizer), chat_template_(chat_template), eos_ids_(std::move(eos_ids)) {
  if (eos_ids_.empty()) throw InputError("the model's config names no end-of-text token");
  if (chat_template_ != nullptr) reasoning_form_.emplace(*chat_template_);
  turn_end_ = chat_template_ != nullptr ? turn_end() : eos_ids_.front();
}

int32_t ExampleEncoder::turn_end() const {
  const std::string mark = "Weft";
  const std::string text = chat_template_->render({{"user", "Hello"}, {"assistant", mark}}, false);
  const size_t end = text.rfind(mark);
  if (end == std::string::npos) return eos_ids_.front();
  for (const int32_t id : tokenizer_.encode(text.substr(end + mark.size()), false)) {
    if (std::find(eos_ids_.begin(), eos_ids_.end(), id) != eos_ids_.end()) return id;
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

SftData load_jsonl_examples(const SftDataOptions& options, const ExampleEncoder& encoder) {
  JsonlReader reader(options.jsonl);
  JsonlLine line;
  SftData data;
  while (reader.next(line)) {
    if (!line.error.empty()) throw InputError(line.error);
    append(data, encode_line(line.value, reader.where(line), encoder), options);
    data.through_template |= line.value.contains("messages");
  }
  check_not_empty(data, options.jsonl);
  return data;
}

std::vector<Trajectory> stored_examples(const SftDataOptions& options) {
  TrajectoryFilter filter;
  filter.origin = options.origin;
  filter.only_valid = true;
  filter.min_reward = options.min_reward;
  filter.max_per_task = options.max_per_task;
  return TrajectoryStore(options.store, StoreAccess::kRead).select(filter);
}

SftData load_store_examples(const SftDataOptions& options, const ExampleEncoder& encoder,
                            const MetaAgent& meta_agent) {
  std::map<std::string, Task> tasks;
  for (const auto& file : options.tasks) {
    for (auto& task : load_tasks(file)) tasks.emplace(task.id, task);
  }
  SftData data;
  data.through_template = true;
  std::set<std::string> teachers;
  for (const Trajectory& t : stored_examples(options)) {
    teachers.insert(t.origin);
    const auto task = tasks.find(t.task_id);
    if (task == tasks.end()) {
      throw InputError(options.store + ": task \"" + t.task_id + "\" is in none of the task files");
    }
    append(data,
           encoder.encode(meta_agent.prompt(task->second),
                          AssistantTurn{trimmed(t.reasoning), meta_agent.render_code(t.code)}),
           options);
  }
  check_not_empty(data, options.store);
  data.teachers.assign(teachers.begin(), teachers.end());
  return data;
}

}  // namespace weft
