/// Continuous batching: which prompts are prefilled, which sequences decoded, in each step. Used by
/// the engine's thread alone.
///
/// Requests come in as there is room for their prompts. When the cache is full, the youngest
/// sequence loses its blocks and is computed again later (preemption by recompute,
/// arXiv:2309.06180, section 4.5); the oldest request always fits alone, so that every request
/// ends.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/engine/block_pool.h"
#include "model/engine/engine.h"
#include "model/engine/kv_cache.h"
#include "model/engine/paged_forward.h"
#include "model/engine/prefix_index.h"
#include "model/engine/sequence.h"
#include "model/engine/step_runner.h"

namespace weft {

/// A text that stays in the cache beyond its request. The engine's thread alone touches it, but for
/// `num_sampled`, which is there when the response is.
struct HeldText {
  std::shared_ptr<const Lora> lora;
  std::vector<int32_t> text;    ///< what the blocks hold
  std::vector<int32_t> blocks;  ///< empty: the cache let go of it
  size_t num_sampled = 0;       ///< ids of the completion before its stop string
};

/// A checked request with its prompt as ids.
struct EngineRequest {
  TextRequest request;
  std::vector<int32_t> prompt;
  std::shared_ptr<const Lora> lora;
  std::function<void(TextResponse)> done;
  std::shared_ptr<HeldText> begins_with;  ///< its text is the head of the prompt; may be null
  std::shared_ptr<HeldText> hold_as;      ///< is to hold prompt and completion; only with n = 1
};

class Scheduler {
 public:
  /// Borrows everything. `device` holds the model's weights.
  Scheduler(const Transformer& model, const Tokenizer* tokenizer, const EngineOptions& options,
            int64_t max_context, const ComputeDevice& device);

  /// Queues a request. Its blocks must fit the cache: see blocks_needed.
  void add(std::unique_ptr<EngineRequest> request);

  /// Blocks that a request of this prompt holds at most while one choice is decoded.
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

  /// Gives back the blocks of a held text, if it has any.
  void let_go(HeldText& held);

  bool has_work() const { return !groups_.empty(); }
  const EngineStats& stats() const { return stats_; }
  StepRunner& runner() { return *runner_; }
  void count_scored(int64_t tokens) { stats_.scored_tokens += tokens; }

 private:
  // One choice. The cache is to hold the first `length` tokens of its text, which is the prompt and
  // what was sampled but for `next`; it holds the first `computed`. Without blocks it waits for
  // some.
  struct Sequence {
    int choice;
    std::vector<int32_t> blocks;
    size_t known_blocks;  // the first of `blocks`, which the prefix index had or was given
    int64_t length;
    int64_t computed;
    int32_t next;
    CompletionBuilder builder;

    bool decoding() const { return !blocks.empty() && computed == length; }
    bool recomputing() const { return !blocks.empty() && computed < length; }
  };
  // One request. Its blocks hold the prompt while choices are to be started.
  struct Group {
    std::unique_ptr<EngineRequest> request;
    std::vector<int32_t> blocks;
    size_t known_blocks = 0;    // as in Sequence
    int64_t prefilled = 0;      // tokens of the prompt that `blocks` hold
    int64_t cached_tokens = 0;  // of the prompt, when it was last let in
    at::Tensor logits;          // [V] f32 after the prompt, until every choice has started
    int started = 0;
    std::list<Sequence> running;
    std::vector<Completion> finished;
    int64_t max_new = 0;

    int64_t prompt_size() const { return static_cast<int64_t>(request->prompt.size()); }
    bool starting() const { return started < request->request.n; }
    bool prefilling() const { return !blocks.empty() && prefilled < prompt_size(); }
  };
  struct Row {
    Group* group;
    std::list<Sequence>::iterator sequence;
  };
  // Tokens to compute: of a prompt, or of a text whose blocks were taken away.
  struct Chunk {
    Group* group;
    Sequence* sequence;  // null: the prompt
    int64_t count;
  };

  // admission.cpp: who gets blocks, and who loses them
  int64_t available() const { return pool_.num_free() + pool_.num_idle(); }
  int32_t new_block();
  bool claim(const Group& group, int64_t blocks, bool own_prompt_too = false);
  void admit();
  void advance_groups();
  bool advance(Group& group);
  bool complete_blocks(const Group& group, std::vector<int32_t>& blocks, int64_t total,
                       bool own_prompt_too = false);
  bool start_choice(Group& group);
  bool resume(Group& group, Sequence& sequence);
  void make_room_to_decode();
  std::pair<Group*, Sequence*> youngest(const Group* oldest = nullptr);
  void preempt(Group& group, Sequence* sequence);
  std::vector<int32_t> text_of(const Group& group, const Sequence& sequence) const;

  // held_text.cpp: texts that outlive their requests
  void hold(Group& group, Sequence& sequence);
  bool has_room(int64_t blocks);
  std::vector<int32_t> share_known(const Group& group, std::span<const int32_t> text);
  int64_t copy_tail(const Group& group, size_t full, int64_t most,
                    const std::vector<int32_t>& blocks);

  void end_cancelled();
  bool prefill();
  std::vector<Chunk> choose_chunks();
  void decode();
  std::vector<Row> decode_rows();
  void take_samples(const std::vector<Row>& rows, const at::Tensor& logits);
  void end_sequence(Group& group, std::list<Sequence>::iterator sequence);
  kernels::SampleArgs draw_of(const Group& group, int choice, int64_t position) const;
  void clear_from(size_t first, const std::vector<int32_t>& blocks);
  void release_blocks(Sequence& sequence);
  void release(Group& group);
  void end_group(Group& group, ResponseStatus status, const std::string& error);
  void sweep();
  void update_stats();

  const Transformer& model_;
  const Tokenizer* tokenizer_;
  const EngineOptions& options_;
  int64_t max_context_;
  BlockPool pool_;
  KvCache cache_;
  std::unique_ptr<StepRunner> runner_;
  PrefixIndex prefixes_;
  int64_t num_running_ = 0;                   // choices started and not ended
  int64_t num_active_ = 0;                    // of those, with blocks
  std::list<std::unique_ptr<Group>> groups_;  // in order of arrival; ended ones have no request
  std::vector<std::pair<std::unique_ptr<EngineRequest>, TextResponse>> ended_;  // not yet answered
  std::list<HeldText*> held_;  // with blocks, that used longest ago first; not owned
  EngineStats stats_;
};

}  // namespace weft
