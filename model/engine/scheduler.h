/// Continuous batching: which prompts are prefilled, which sequences decoded, in each step. Used by
/// the engine's thread alone.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/engine/engine.h"
#include "model/engine/kv_cache.h"
#include "model/engine/paged_forward.h"
#include "model/engine/prefix_index.h"
#include "model/engine/sequence.h"

namespace weft {

/// A checked request with its prompt as ids.
struct EngineRequest {
  TextRequest request;
  std::vector<int32_t> prompt;
  std::shared_ptr<const Lora> lora;
  std::function<void(TextResponse)> done;
};

class Scheduler {
 public:
  /// Borrows everything.
  Scheduler(const Transformer& model, const Tokenizer* tokenizer, const EngineOptions& options,
            int64_t max_context);

  /// Queues a request. Its blocks must fit the cache: see blocks_needed.
  void add(std::unique_ptr<EngineRequest> request);

  /// Blocks that a request of this prompt must have to decode one choice.
  int64_t blocks_needed(int64_t prompt_tokens, int64_t max_tokens) const;

  /// Runs one prefill or decode step.
  void step();

  /// Ends everything with this status.
  void end_all(ResponseStatus status, const std::string& error);

  /// Answers what has ended since the last call. Apart from step, so that its owner can publish the
  /// statistics first: who has a response finds it counted.
  void answer();

  /// Drops what the old weights computed. Only while there is no work.
  void weights_changed();

  bool has_work() const { return !groups_.empty(); }
  const EngineStats& stats() const { return stats_; }
  void count_scored(int64_t tokens) { stats_.scored_tokens += tokens; }

 private:
  // One choice that is being decoded. `length` tokens are in the cache, `next` is not yet.
  struct Sequence {
    int choice;
    std::vector<int32_t> blocks;
    int64_t length;
    int32_t next;
    CompletionBuilder builder;
  };
  // One request. Its blocks hold the prompt and stay until it ends.
  struct Group {
    std::unique_ptr<EngineRequest> request;
    std::vector<int32_t> blocks;
    int64_t prefilled = 0;
    size_t known_blocks = 0;  // of `blocks`: those that the index held or was given
    at::Tensor logits;        // [V] f32 after the prompt, until every choice has started
    int started = 0;
    std::list<Sequence> running;
    std::vector<Completion> finished;
    int64_t base_blocks = 0;  // reserved while admitted: the prompt and one choice
    int64_t blocks_per_choice = 0;
    int64_t max_new = 0;
    bool admitted = false;

    int64_t prompt_size() const { return static_cast<int64_t>(request->prompt.size()); }
    bool prefilling() const { return admitted && prefilled < prompt_size(); }
  };
  struct Row {
    Group* group;
    std::list<Sequence>::iterator sequence;
  };

  void end_cancelled();
  void admit();
  void start_choices();
  bool start_choice(Group& group);
  void take_known_prefix(Group& group);
  bool prefill();
  void decode();
  std::vector<Row> decode_rows();
  void take_samples(const std::vector<Row>& rows, const at::Tensor& logits);
  void end_sequence(Group& group, std::list<Sequence>::iterator sequence);
  int32_t new_block();
  kernels::SampleResult draw(const Group& group, const float* logits, int choice,
                             int64_t position) const;
  void clear_from(size_t first, const std::vector<int32_t>& blocks);
  void release(Group& group);
  void end_group(Group& group, ResponseStatus status, const std::string& error);
  void sweep();
  void update_stats();

  const Transformer& model_;
  const Tokenizer* tokenizer_;
  const EngineOptions& options_;
  int64_t max_context_;
  KvCache cache_;
  PrefixIndex prefixes_;
  int64_t unreserved_;  // blocks that no admitted group may claim
  int64_t num_running_ = 0;
  std::list<std::unique_ptr<Group>> groups_;  // in order of arrival; ended ones have no request
  std::vector<std::pair<std::unique_ptr<EngineRequest>, TextResponse>> ended_;  // not yet answered
  EngineStats stats_;
};

}  // namespace weft
