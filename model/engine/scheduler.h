/// Continuous batching: which texts are computed in each step, and in which blocks of the cache.
/// Plans without tensors; a runner computes the plan. Used by the engine's thread alone.
///
/// Requests come in as there is room for their prompts. When the cache is full, the youngest
/// sequence loses its blocks and is computed again later (preemption by recompute,
/// arXiv:2309.06180, section 4.5); the oldest request always fits alone, so that every request
/// ends.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/engine/block_pool.h"
#include "model/engine/engine_options.h"
#include "model/engine/engine_request.h"
#include "model/engine/prefix_index.h"
#include "model/engine/sequence.h"
#include "model/engine/step_plan.h"

namespace weft {

struct SchedulerOptions {
  int64_t max_batch = 64;         ///< sequences decoded together
  int64_t prefill_tokens = 2048;  ///< most prompt tokens in one step
  int64_t max_context = 0;        ///< tokens of prompt and completion
  int64_t num_blocks = 0;         ///< of the cache
  int64_t kept_blocks = 0;        ///< most that may keep text for later prompts
};

/// Where a prompt or a choice stands.
enum class SequenceState {
  kWaiting,     ///< nothing of it has been computed
  kPrefilling,  ///< has its blocks; some of it is to be computed, for the first time or again
  kReady,       ///< a prompt that is computed, for the choices that are to start
  kDecoding,    ///< its next token is to be computed
  kPreempted,   ///< its blocks were taken; it is computed again when there is room
  kEnded,
};

class Scheduler {
 public:
  /// `tokenizer` is borrowed and may be null.
  Scheduler(const SchedulerOptions& options, const Tokenizer* tokenizer,
            std::vector<int32_t> eos_ids);

  /// Queues a request and numbers it, upwards. Its blocks must fit the cache: see blocks_needed.
  int64_t add(std::unique_ptr<EngineRequest> request);

  /// Blocks that a request of this prompt holds at most while one choice is decoded. Any thread.
  int64_t blocks_needed(int64_t prompt_tokens, int64_t max_tokens) const;

  /// The next step. Lets requests in, and gives and takes blocks; every plan must come back by
  /// apply, fail or end_all before the next. Has spans where there is work, and at
  /// most most_draws(max_batch) draws.
  StepPlan plan();

  /// Takes what the plan's step gave. A draw without a token fails its request.
  void apply(const StepPlan& plan, const StepResult& result);

  /// Ends everything as failed, where the plan's step could not be computed or only in part.
  void fail(const StepPlan& plan, const std::string& error);

  /// Ends everything with this status.
  void end_all(ResponseStatus status, const std::string& error);

  /// Answers what has ended since the last call. Apart from apply, so that its owner can publish
  /// the statistics first: who has a response finds it counted.
  void answer();

  /// Drops what the old weights computed. Only while there is no work.
  void weights_changed();

  /// Gives back the blocks of a held text, if it has any.
  void let_go(HeldText& held);

  /// Of one choice of a request, or of its prompt (kPrompt).
  SequenceState state(int64_t request, int choice) const;

  /// std::logic_error where the books do not agree: who holds which block, and what is counted.
  void check() const;

  bool has_work() const { return !groups_.empty(); }
  const BlockPool& pool() const { return pool_; }
  const EngineStats& stats() const { return stats_; }
  void count_logprobs(int64_t tokens) { stats_.logprob_tokens += tokens; }

 private:
  // A text in the cache, of which the first `computed` tokens are there.
  struct CachedText {
    SequenceState state = SequenceState::kWaiting;
    std::vector<int32_t> blocks;
    size_t known_blocks = 0;  // the first of `blocks`, which the prefix index had or was given
    int64_t computed = 0;
  };
  // One choice. The cache is to hold the first `length` tokens of its text, which is the prompt and
  // what was sampled but for `next`.
  struct Sequence : CachedText {
    int choice;
    int64_t length;
    int32_t next;
    CompletionBuilder builder;
  };
  // One request. The prompt has blocks while choices are to be started.
  struct Group {
    std::unique_ptr<EngineRequest> request;  // null: ended
    int64_t id = 0;
    CachedText prompt;
    int64_t cached_tokens = 0;                 // of the prompt, when it was first let in
    std::deque<kernels::SampleResult> firsts;  // tokens of the choices from `started` on
    int drawn = 0;                             // choices whose first token was drawn
    int started = 0;
    std::list<Sequence> running;
    std::vector<Completion> finished;
    int64_t max_new = 0;

    int64_t prompt_size() const { return static_cast<int64_t>(request->prompt.size()); }
    bool starting() const { return started < request->request.n; }
  };
  // Tokens to compute of a prompt, or of a sequence that was preempted.
  struct Chunk {
    Group* group;
    Sequence* sequence;  // null: the prompt
    int64_t count;
  };

  // admission.cpp: who gets blocks, and who loses them
  int64_t available() const { return pool_.num_free() + pool_.num_idle(); }
  int32_t new_block();
  bool claim(const Group& group, int64_t blocks, bool own_prompt_too = false);
  bool complete_blocks(const Group& group, std::vector<int32_t>& blocks, int64_t total,
                       bool own_prompt_too = false);
  void admit();
  bool let_in(Group& group);
  void advance_groups();
  bool advance(Group& group);
  bool draw_more(Group& group);
  bool start_choice(Group& group);
  bool resume(Group& group, Sequence& sequence);
  void make_room_to_decode();
  std::pair<Group*, Sequence*> youngest(const Group* oldest = nullptr);
  void preempt(Group& group, Sequence* sequence);

  // held_text.cpp: texts that outlive their requests
  void hold(Group& group, Sequence& sequence);
  bool has_room(int64_t blocks);
  std::vector<int32_t> share_known(const Group& group, std::span<const int32_t> text);
  int64_t copy_tail(const Group& group, size_t full, int64_t most,
                    const std::vector<int32_t>& blocks);

  void end_cancelled();
  void add_decoding(StepPlan& plan);
  void add_prefilling(StepPlan& plan);
  std::vector<Chunk> choose_chunks();
  void plan_chunk(StepPlan& plan, const Chunk& chunk, int64_t& row, int& first_draws);
  void take_computed(const PlannedSpan& span);
  void take_sample(const PlannedDraw& draw, const kernels::SampleResult& sample);
  PlannedDraw draw_of(const Group& group, int choice, int64_t position, int64_t row) const;
  std::vector<int32_t> text_of(const Group& group, const Sequence& sequence) const;
  Group* find(int64_t request);
  static std::list<Sequence>::iterator find(Group& group, int choice);
  void push(Group& group, std::list<Sequence>::iterator sequence,
            const kernels::SampleResult& sample);
  void end_sequence(Group& group, std::list<Sequence>::iterator sequence);
  void clear_from(size_t first, const std::vector<int32_t>& blocks);
  void release_prompt(Group& group);
  void release_blocks(Sequence& sequence);
  void end_group(Group& group, ResponseStatus status, const std::string& error);
  void sweep();
  void update_stats();

  const SchedulerOptions options_;
  const Tokenizer* tokenizer_;
  const std::vector<int32_t> eos_ids_;
  BlockPool pool_;
  PrefixIndex prefixes_;
  std::vector<BlockEdit> edits_;     // of the next plan
  int64_t num_running_ = 0;          // choices started and not ended
  int64_t num_active_ = 0;           // of those, with blocks
  std::map<int64_t, Group> groups_;  // in order of arrival; ended ones have no request
  int64_t last_id_ = 0;
  std::vector<std::pair<std::unique_ptr<EngineRequest>, TextResponse>> ended_;  // not yet answered
  std::list<HeldText*> held_;  // with blocks, that used longest ago first; not owned
  EngineStats stats_;
};

}  // namespace weft
