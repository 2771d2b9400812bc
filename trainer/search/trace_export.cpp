#include "trainer/search/trace_export.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/jsonl.h"
#include "base/stop.h"
#include "trainer/search/search_report.h"
#include "trainer/search/trace_store.h"
#include "workflow/completion_form.h"

namespace weft {

namespace {

constexpr const char* kFile = "traces.jsonl";

/// Passes workflows on, one after the other, and counts those it does not.
class Sieve {
 public:
  Sieve(const TraceFilter& filter, const TraceTools& tools) : filter_(filter), tools_(tools) {
    for (const char* reason :
         {"invalid", "unsolved", "no_reasoning", "too_short", "too_long", "duplicate"}) {
      dropped_[reason] = 0;
    }
    WEFT_ASSERT(!counts_tokens() || tools.count_tokens);
  }

  bool passes(const Trajectory& row) {
    const char* reason = why_not(row);
    if (*reason != '\0') dropped_[reason] = dropped_[reason].get<int64_t>() + 1;
    return *reason == '\0';
  }
  const Json& dropped() const { return dropped_; }

  /// One line.
  std::string drops() const {
    Json some = Json::object();
    for (const auto& [reason, count] : dropped_.items()) {
      if (count != 0) some[reason] = count;
    }
    return some.empty() ? "none is stored" : listed_reasons(some);
  }

 private:
  bool counts_tokens() const { return filter_.min_tokens > 0 || filter_.max_tokens > 0; }

  const char* why_not(const Trajectory& row) {
    if (filter_.valid && !row.valid) return "invalid";
    if (filter_.solved && !(has_reward(row) && row.pass_rate >= 1)) return "unsolved";
    if (trimmed(row.reasoning).empty()) return "no_reasoning";
    if (counts_tokens()) {
      const std::string text = trimmed(row.reasoning) + "\n" + tools_.render_code(row.code);
      const int64_t tokens = tools_.count_tokens(text);
      if (tokens < filter_.min_tokens) return "too_short";
      if (filter_.max_tokens > 0 && tokens > filter_.max_tokens) return "too_long";
    }
    if (filter_.distinct && !seen_.insert({row.task_id, signature(row.code)}).second) {
      return "duplicate";
    }
    return "";
  }

  std::string signature(const std::string& code) const {
    const std::string hash = tools_.ast_hash(code);
    return hash.empty() ? "text of " + code : hash;  // does not parse
  }

  const TraceFilter& filter_;
  const TraceTools& tools_;
  std::set<std::pair<std::string, std::string>> seen_;  ///< (query, AST)
  Json dropped_;
};

Json assistant_turn(const std::string& reasoning, const std::string& code, ReasoningPlace place) {
  switch (place) {
    case ReasoningPlace::kField:
      return {{"role", "assistant"}, {"content", code}, {"reasoning_content", reasoning}};
    case ReasoningPlace::kText:
      return {{"role", "assistant"}, {"content", reasoning + "\n" + code}};
    case ReasoningPlace::kThink:
      break;
  }
  Completion completion;
  completion.text = code;
  completion.reasoning = reasoning;
  return {{"role", "assistant"}, {"content", completion.text_with_reasoning()}};
}

Json share_gpt(const Json& messages) {
  static const std::map<std::string, const char*> names = {
      {"system", "system"}, {"user", "human"}, {"assistant", "gpt"}};
  Json turns = Json::array();
  for (const Json& message : messages) {
    turns.push_back(
        {{"from", names.at(message["role"].get<std::string>())}, {"value", message["content"]}});
  }
  return {{"conversations", turns}};
}

Json line_of(const std::vector<ChatMessage>& prompt, Json answer, TraceForm form) {
  Json messages = Json::array();
  for (const ChatMessage& message : prompt) {
    messages.push_back({{"role", message.role}, {"content", message.content}});
  }
  if (form == TraceForm::kPromptCompletion) {
    return {{"prompt", messages}, {"completion", Json::array({std::move(answer)})}};
  }
  messages.push_back(std::move(answer));
  return form == TraceForm::kShareGpt ? share_gpt(messages) : Json{{"messages", messages}};
}

/// LLaMA-Factory's description of the file.
Json dataset_info(TraceForm form) {
  if (form == TraceForm::kShareGpt) {
    return {{"traces",
             {{"file_name", kFile},
              {"formatting", "sharegpt"},
              {"columns", {{"messages", "conversations"}}}}}};
  }
  return {{"traces",
           {{"file_name", kFile},
            {"formatting", "sharegpt"},
            {"columns", {{"messages", "messages"}}},
            {"tags",
             {{"role_tag", "role"},
              {"content_tag", "content"},
              {"user_tag", "user"},
              {"assistant_tag", "assistant"},
              {"system_tag", "system"}}}}}};
}

std::vector<Trajectory> rows_of(const TrajectoryStore& store, const std::string& origin) {
  TrajectoryFilter wanted;
  wanted.origin = origin;
  auto rows = store.select(wanted);
  if (origin.empty()) std::erase_if(rows, [](const Trajectory& row) { return is_round(row); });
  return rows;
}

}  // namespace

EnumTable<TraceForm> enum_table(TraceForm) {
  return {{TraceForm::kMessages, "messages"},
          {TraceForm::kPromptCompletion, "prompt_completion"},
          {TraceForm::kShareGpt, "sharegpt"}};
}

EnumTable<ReasoningPlace> enum_table(ReasoningPlace) {
  return {{ReasoningPlace::kThink, "think"},
          {ReasoningPlace::kText, "text"},
          {ReasoningPlace::kField, "field"}};
}

void TraceFilter::validate() const {
  require_at_least("min_tokens", min_tokens, 0);
  require_at_least("max_tokens", max_tokens, 0);
  if (max_tokens > 0 && min_tokens > max_tokens) {
    throw InputError(
        fmt::format("min_tokens: expected at most max_tokens, {}, got {}", max_tokens, min_tokens));
  }
  if ((min_tokens > 0 || max_tokens > 0) && tokenizer.empty()) {
    throw InputError("tokenizer: expected what counts min_tokens and max_tokens, got nothing");
  }
}

void TraceExportOptions::validate() const {
  if (form == TraceForm::kShareGpt && reasoning == ReasoningPlace::kField) {
    throw InputError(
        "reasoning: \"field\" expected the form messages or prompt_completion, got "
        "sharegpt, which has no such field");
  }
}

Json export_traces(const TrajectoryStore& store, const std::vector<Task>& tasks,
                   const TraceFilter& filter, const TraceExportOptions& options,
                   const TraceTools& tools, const std::filesystem::path& dir) {
  filter.validate();
  options.validate();
  std::map<std::string, const Task*> by_id;
  for (const Task& task : tasks) by_id.emplace(task.id, &task);
  const auto rows = rows_of(store, options.origin);
  for (const Trajectory& row : rows) {
    if (by_id.contains(row.task_id)) continue;
    throw InputError("store: task \"" + row.task_id + "\" is in none of the task files");
  }
  const auto temporary = dir / (std::string(kFile) + ".part");
  std::filesystem::remove(temporary);
  Sieve sieve(filter, tools);
  int64_t written = 0;
  {
    JsonlWriter file(temporary);
    for (const Trajectory& row : rows) {
      throw_if_stopped();
      if (!sieve.passes(row)) continue;
      file.write(line_of(
          tools.prompt(*by_id.at(row.task_id)),
          assistant_turn(trimmed(row.reasoning), tools.render_code(row.code), options.reasoning),
          options.form));
      ++written;
    }
  }
  if (written == 0) {
    std::filesystem::remove(temporary);
    throw Error("not one trace to export: " + sieve.drops());
  }
  sync_path(temporary);
  std::filesystem::rename(temporary, dir / kFile);
  sync_path(dir);
  if (options.form != TraceForm::kPromptCompletion) {
    write_file_atomically(dir / "dataset_info.json", dump_json_pretty(dataset_info(options.form)));
  } else {
    std::filesystem::remove(dir / "dataset_info.json");
  }
  return {{"file", kFile}, {"traces", written}, {"dropped", sieve.dropped()}};
}

}  // namespace weft
