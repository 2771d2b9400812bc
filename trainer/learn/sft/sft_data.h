/// Supervised examples from a trajectory store or from JSON lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "data/trajectory_store.h"
#include "model/text_model.h"
#include "model/tokenizer/chat_template.h"
#include "model/tokenizer/reasoning_form.h"
#include "model/tokenizer/tokenizer.h"
#include "trainer/learn/update/packing.h"
#include "workflow/meta_agent.h"

namespace weft {

struct SftDataOptions {
  std::string store;               ///< trajectory store; its valid workflows are the targets
  std::vector<std::string> tasks;  ///< task files that the store's task ids refer to
  std::string origin;              ///< only trajectories of this origin; empty: all
  double min_reward = 0;           ///< only trajectories with at least this reward
  int max_per_task = 0;            ///< the best ones of each task; 0: no limit
  std::string jsonl;  ///< instead of a store: {"messages":[..]} or {"prompt","completion"} lines
  int64_t max_tokens = 4096;  ///< longer examples are left out and counted

  template <class V>
  void visit(V& v) {
    v("store", store, "trajectory store whose valid workflows are the targets");
    v("tasks", tasks, "task files that the store's task ids refer to");
    v("origin", origin, "only trajectories of this origin; empty: all");
    v("min_reward", min_reward, "least reward of a trajectory");
    v("max_per_task", max_per_task, "best trajectories of each task, 0: no limit");
    v("jsonl", jsonl, "JSON lines with \"messages\", or \"prompt\" and \"completion\"");
    v("max_tokens", max_tokens, "longer examples are left out");
  }
  /// Throws InputError when both sources are named.
  void validate() const;
  /// Throws InputError when no source is named, or a store without its tasks: what a run needs and
  /// a plan does not.
  void require_source() const;
};

struct SftData {
  std::vector<TrainSequence> sequences;
  int64_t num_too_long = 0;           ///< left out
  bool through_template = false;      ///< some example's ids are the chat template's work
  std::vector<std::string> teachers;  ///< origins of a store's examples, each once, sorted
};

/// Turns conversations and texts into ids as the engine does, so that what is trained on is what
/// will be prompted with. Borrows both; `chat_template` may be null where no messages occur.
class ExampleEncoder {
 public:
  /// `eos_ids` are the model's; may be empty.
  ExampleEncoder(const Tokenizer& tokenizer, const ChatTemplate* chat_template,
                 std::vector<int32_t> eos_ids);

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

 private:
  int32_t turn_end() const;
  std::vector<int32_t> completion_ids(const std::string& text, int32_t eos) const;

  const Tokenizer& tokenizer_;
  const ChatTemplate* chat_template_;
  std::vector<int32_t> eos_ids_;
  std::optional<ReasoningForm> reasoning_form_;  ///< where there is a template
  int32_t turn_end_ = -1;
};

/// Examples of JSON lines. In "messages" the last turn must be the assistant's and is the target;
/// what is before it is the prompt. The target's reasoning stands in its content or in a field
/// "reasoning_content" (or "reasoning"). Throws InputError naming file and line.
SftData load_jsonl_examples(const SftDataOptions& options, const ExampleEncoder& encoder);

/// The store's trajectories that pass the options, in an order of content.
std::vector<Trajectory> stored_examples(const SftDataOptions& options);

/// Examples of a store: prompt and target as the meta-agent renders them, in the order of
/// stored_examples. Throws InputError when a task id is in none of the task files or nothing passes
/// the filter.
SftData load_store_examples(const SftDataOptions& options, const ExampleEncoder& encoder,
                            const MetaAgent& meta_agent);

}  // namespace weft
