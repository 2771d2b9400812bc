/// Workflows of a store as training data in the forms that other trainers read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "data/task.h"
#include "data/trajectory_store.h"
#include "model/text_model.h"

namespace weft {

/// Which workflows of a store are taken.
struct TraceFilter {
  bool valid = true;
  bool solved = false;
  bool distinct = true;
  int64_t min_tokens = 0;
  int64_t max_tokens = 0;
  std::string tokenizer;

  template <class V>
  void visit(V& v) {
    v("valid", valid, "only workflows that passed the static check");
    v("solved", solved, "only those that passed every val test of their query");
    v("distinct", distinct, "of a query's workflows with the same AST only the first");
    v("min_tokens", min_tokens, "fewest tokens of reasoning and code together");
    v("max_tokens", max_tokens, "most of them; 0: no limit");
    v("tokenizer", tokenizer, "model's folder or tokenizer file that counts them");
  }
  void validate() const;  ///< throws InputError
};

enum class TraceForm {
  kMessages,          ///< {"messages": [..]}: TRL, LLaMA-Factory, train_sft
  kPromptCompletion,  ///< {"prompt": [..], "completion": [..]}: TRL, train_sft
  kShareGpt,          ///< {"conversations": [{"from", "value"}, ..]}: LLaMA-Factory, train_sft
};
EnumTable<TraceForm> enum_table(TraceForm);

/// Where the reasoning of the assistant's turn stands.
enum class ReasoningPlace {
  kThink,  ///< content: "<think>", newline, reasoning, newline, "</think>", two newlines, code
  kText,   ///< content: reasoning, newline, code, as a model without a part for it writes
  kField,  ///< "reasoning_content" beside the content, as templates like Qwen3's read
};
EnumTable<ReasoningPlace> enum_table(ReasoningPlace);

struct TraceExportOptions {
  TraceForm form = TraceForm::kMessages;
  ReasoningPlace reasoning = ReasoningPlace::kThink;
  std::string origin;

  template <class V>
  void visit(V& v) {
    v("form", form, "messages, prompt_completion or sharegpt");
    v("reasoning", reasoning,
      "where it stands: think (<think> in the content), text (before the code) or field "
      "(reasoning_content)");
    v("origin", origin, "only workflows of this origin; empty: all but single rounds of a trace");
  }
  void validate() const;  ///< throws InputError
};

/// Tokens of a text, by TraceFilter::tokenizer.
using TokenCounter = std::function<int64_t(const std::string& text)>;

/// What an export asks of others; MetaAgent and PythonAnalyser answer it.
struct TraceTools {
  std::function<std::vector<ChatMessage>(const Task&)> prompt;
  std::function<std::string(const std::string& code)> render_code;
  std::function<std::string(const std::string& code)> ast_hash;  ///< asked by `distinct` alone
  TokenCounter count_tokens;  ///< needed where the filter counts them
};

/// Writes the store's workflows that have reasoning and pass the filter into `dir`, one JSON object
/// a line in the store's order: traces.jsonl, and for LLaMA-Factory, where it reads the form,
/// dataset_info.json with the entry "traces". A workflow counts as dropped under the first of these
/// that it fails: {"file", "traces", "dropped": {"invalid", "unsolved", "no_reasoning",
/// "too_short", "too_long", "duplicate"}}. Throws InputError when a workflow's task is not among
/// `tasks`; Error when nothing is left, with the counts.
Json export_traces(const TrajectoryStore& store, const std::vector<Task>& tasks,
                   const TraceFilter& filter, const TraceExportOptions& options,
                   const TraceTools& tools, const std::filesystem::path& dir);

}  // namespace weft
