/// Continuous batching: which texts are computed in each pass, and in which blocks of the cache.
/// Plans without tensors; a runner computes the plan. Used by the engine's thread alone.
///
/// A pass decodes every sequence that has a slot, and computes as much of the prompts beside them
/// as their wait allows (chunked prefill, arXiv:2403.02310). Slots are shared between jobs, which
/// are the requests that were submitted together: a free one goes to the job that has fewest, and
/// where none is free, a job with at least two more gives one up. When the cache is full, sequences
/// lose their blocks and are computed again later (preemption by recompute, arXiv:2309.06180,
/// section 4.5): those without a slot first, then the youngest. A job keeps one as long as others
/// have more, and the oldest request always fits alone, so that every request ends.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/engine/block_pool.h"
#include "model/engine/engine_options.h"
#include "model/engine/engine_request.h"
#include "model/engine/pass_costs.h"
#include "model/engine/pass_plan.h"
#include "model/engine/prefix_index.h"
#include "model/engine/sequence.h"

namespace weft {

struct SchedulerOptions {
  int64_t max_batch = 64;         ///< slots: sequences decoded together
  int64_t prefill_tokens = 2048;  ///< most prompt tokens in one pass
  int64_t mixed_tokens = 0;       ///< of a pass that also decodes; 0: by PassCosts
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
  kPaused,      ///< has its blocks but no slot
  kPreempted,   ///< its blocks were taken; it is computed again when there is room
  kEnded,
};

class Scheduler {
 public:
  /// A pass that computes prompts beside sequences is to take at most so many times what the
  /// sequences take alone.
  static constexpr double kMixedPass = 2.5;

  /// `tokenizer` is borrowed and may be null.
  Scheduler(const SchedulerOptions& options, const Tokenizer* tokenizer,
            std::vector<int32_t> eos_ids);

  /// Queues a request and numbers it, upwards. Its blocks must fit the cache: see blocks_needed.
  int64_t add(std::unique_ptr<EngineRequest> request);

  /// Blocks that a request of this prompt holds at most while one choice is decoded. Any thread.
  int64_t blocks_needed(int64_t prompt_tokens, int64_t max_tokens) const;

  /// The next pass: has spans where there is work, and at most most_draws(max_batch) draws. Gives
  /// and takes slots and blocks. `costs` decides how the work is cut into passes, never what comes
  /// of it. Each plan must come back by apply, fail, drop or end_all before
  /// the next.
  PassPlan plan(const PassCosts& costs);

  /// The pass behind one that is being computed, where that does not hang on its draws: each of its
  /// sequences goes on, and nobody else wants a place. Those of which a draw says that they ended
  /// compute a token in vain. Between this and the apply of what it plans, no request is added, no
  /// held text let go and no other pass planned but one behind it.
  std::optional<PassPlan> plan_ahead(const PassPlan& under_way, const PassCosts& costs);

  /// Takes what the plan's pass gave, in the order of the plans. A draw without a token fails its
  /// request.
  void apply(const PassPlan& plan, const PassResult& result);

  /// Ends everything as failed, where the plan's pass could not be computed or only in part.
  void fail(const PassPlan& plan, const std::string& error);

  /// Whether every request has been cancelled, so that nobody wants a pass.
  bool all_cancelled() const;

  /// Ends everything as cancelled, where the plan's pass was not computed, or only in part.
  void drop(const PassPlan& plan);

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
  // what was sampled but for `next`. Has a slot while it is prefilled or decoded.
  struct Sequence : CachedText {
    int choice;
    int64_t length;
    int32_t next;
    CompletionBuilder builder;
  };
  // Requests that were submitted together.
  struct Job {
    int64_t requests = 0;  // not ended
    int64_t slots = 0;
    int64_t choices = 0;  // of requests that were let in, not ended
    int64_t since = 0;    // when `slots` last changed, or the job came
  };
  // One request. The prompt has blocks while choices are to be started.
  struct Group {
    std::unique_ptr<EngineRequest> request;  // null: ended
    int64_t id = 0;
    Job* job = nullptr;
    CachedText prompt;
    bool is_in = false;                        // was let in
    int64_t cached_tokens = 0;                 // of the prompt, when it was
    std::deque<kernels::SampleResult> firsts;  // tokens of the choices from `started` on
    int drawn = 0;                             // choices whose first token was drawn
    int started = 0;
    int ended = 0;
    std::list<Sequence> running;
    std::vector<Completion> finished;
    int64_t max_new = 0;

    int64_t prompt_size() const { return static_cast<int64_t>(request->prompt.size()); }
    bool starting() const { return started < request->request.n; }
  };
  // What a group wants next.
  enum class Want { kSlot, kResume, kStart, kDraw, kPrompt };
  struct Wish {
    Want want;
    Group* group;
    Sequence* sequence;  // of kSlot and kResume
    std::pair<int64_t, int64_t> turn;
  };
  // Of the jobs with a request that was let in.
  struct Census {
    int64_t jobs = 0;
    int64_t most_slots = 0;
    int64_t without_slot = 0;
    int64_t contested = 0;  // slots of those that want more
  };
  // Tokens to compute: the next one of a sequence, of a prompt, of a sequence that was preempted.
  struct Chunk {
    Group* group;
    Sequence* sequence;  // null: the prompt
    int64_t count;
    int draws = 0;  // tokens to be sampled after it

    const CachedText& text() const { return sequence ? *sequence : group->prompt; }
  };

  // admission.cpp: who gets slots and blocks
  void grant_wishes();
  std::optional<Wish> next_wish(bool no_room);
  Census count_jobs() const;
  std::optional<Wish> wish_of(Group& group, bool no_room, const Census& census);
  bool may_enter(const Job& job, const Census& census) const;
  bool grant(const Wish& wish);
  int32_t new_block();
  bool claim(const Group& group, int64_t blocks, bool own_prompt_too = false);
  bool complete_blocks(const Group& group, std::vector<int32_t>& blocks, int64_t total,
                       bool own_prompt_too = false);
  bool let_in(Group& group);
  bool resume(Group& group, Sequence& sequence);
  bool draw_more(Group& group);
  bool start_choice(Group& group);
  void set_state(const Group& group, Sequence& sequence, SequenceState state);

  // preemption.cpp: who loses them
  using Holder = std::pair<Group*, Sequence*>;  // no sequence: the prompt
  int64_t available() const { return pool_.num_free() + pool_.num_idle(); }
  const Job& largest_job() const;
  template <class Fits>
  Holder youngest_sequence(const Fits& fits);
  void pause_one();
  bool has_room(int64_t blocks);
  void make_room_to_decode();
  Holder youngest(const Job* job, const Group* oldest);
  void preempt(Holder holder);
  void clear_from(size_t first, const std::vector<int32_t>& blocks);
  void release_prompt(Group& group);

  // held_text.cpp: texts that outlive their requests
  void hold(Group& group, Sequence& sequence);
  std::vector<int32_t> share_known(const Group& group, std::span<const int32_t> text);
  int64_t copy_tail(const Group& group, size_t full, int64_t most,
                    const std::vector<int32_t>& blocks);

  // pass_ahead.cpp: passes that are planned before the one before them is known
  bool may_go_on(const PassPlan& under_way);
  void keep_written(const Sequence& sequence);
  void release_written(const PassResult& result, std::vector<int32_t> blocks);
  void clear_written(std::vector<int32_t> blocks);

  // pass_choice.cpp: what a pass computes
  std::vector<Chunk> choose_decoding(PassPlan& plan, const PassCosts& costs);
  void choose_prefilling(PassPlan& plan, const PassCosts& costs, std::vector<Chunk>& chosen);
  std::vector<Chunk> texts_to_compute();
  void share_first_draws(const std::vector<size_t>& complete, std::vector<Chunk>& chosen) const;
  void add_spans(PassPlan& plan, std::vector<Chunk> chunks) const;
  PlannedDraw draw_of(const Group& group, int choice, int64_t position, int64_t row) const;

  void keep_clears(const PassPlan& plan);
  void end_cancelled();
  void take_computed(const PlannedSpan& span);
  void take_sample(const PlannedDraw& draw, const kernels::SampleResult& sample);
  void push(Group& group, std::list<Sequence>::iterator sequence,
            const kernels::SampleResult& sample);
  std::vector<int32_t> text_of(const Group& group, const Sequence& sequence) const;
  Group* find(int64_t request);
  static std::list<Sequence>::iterator find(Group& group, int choice);
  void end_sequence(Group& group, std::list<Sequence>::iterator sequence);
  void end_group(Group& group, ResponseStatus status, const std::string& error);
  void sweep();
  void update_stats();

  const SchedulerOptions options_;
  const Tokenizer* tokenizer_;
  const std::vector<int32_t> eos_ids_;
  BlockPool pool_;
  PrefixIndex prefixes_;
  std::vector<BlockEdit> edits_;  // of the next plan
  int64_t plans_ = 0;             // not applied
  std::vector<int32_t> written_;  // by the pass ahead, of sequences that ended; one reference each
  std::map<int64_t, Group> groups_;         // in order of arrival; ended ones have no request
  std::map<int64_t, Job> jobs_;             // by the number of their first request
  std::pair<int64_t, int64_t> newest_job_;  // EngineRequest::job, and its place in jobs_
  int64_t last_id_ = 0;
  int64_t slots_ = 0;    // taken
  int64_t choices_ = 0;  // Job::choices of all
  int64_t clock_ = 0;    // of Job::since
  std::vector<std::pair<std::unique_ptr<EngineRequest>, TextResponse>> ended_;  // not yet answered
  std::list<HeldText*> held_;  // with blocks, that used longest ago first; not owned
  EngineStats stats_;
};

}  // namespace weft
