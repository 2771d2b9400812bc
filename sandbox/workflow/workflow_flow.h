/// The state of one running workflow. Used by the host's thread only.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sandbox/jail/zygote_process.h"
#include "sandbox/value/wire.h"
#include "sandbox/workflow/workflow_process.h"

namespace weft {

struct Flow {
  using Clock = std::chrono::steady_clock;

  uint64_t id = 0;
  WorkflowJob job;
  std::function<void(WorkflowResult)> done;

  JobFds fds;
  FrameReader reader;
  std::string unsent;
  int64_t channel_bytes = 0;  ///< read from it so far
  int64_t output_bytes = 0;
  pid_t pid = 0;

  Clock::time_point started = Clock::now();
  WorkflowResult result;
  bool locked = false;   ///< its process holds its locks
  bool loaded = false;   ///< it got as far as the workflow's code
  bool decided = false;  ///< result.status holds; what follows is ignored
  bool killed = false;
  bool exited = false;
  bool lost = false;     ///< its zygote died under it: to be tried again, once its calls are back
  bool retried = false;  ///< this is the second try
  WorkflowUsage spent;   ///< by the first

  /// A call_llm that the workflow has not had the reply of.
  struct Call {
    uint32_t request_id = 0;
    std::shared_ptr<std::atomic<bool>> cancelled;
    std::optional<WorkerReply> reply;  ///< held until those of earlier calls are delivered
    Json entry;                        ///< of the trace
    Worker::Bound claim;               ///< of the budget, until the reply is delivered
    Clock::time_point since;           ///< when it was made
  };
  std::deque<Call> calls;  ///< in the order in which they were made

  /// A call_llm that waits, with those after it, until the calls under way have left room for it in
  /// the budget.
  struct HeldCall {
    uint32_t request_id = 0;
    WorkerRequest request;
  };
  std::deque<HeldCall> held;
  bool waits_for_others = false;  ///< the first of them, for room in the shared budget
  std::map<uint64_t, int> asked;  ///< calls made, by what they asked
  int64_t traced_bytes = 0;       ///< of texts in the trace

  /// The running exec_code, of which there is one at most.
  struct Exec {
    uint32_t request_id = 0;
    std::shared_ptr<std::atomic<bool>> cancelled;
  };
  std::optional<Exec> exec;
  std::optional<Exec> tool;  ///< the running call of a tool, likewise

  /// What the trace may still keep of a text, whole characters; says so in `entry` where that is
  /// not all of it. Empty where the job wants no texts.
  std::string traced(const std::string& text, Json& entry);

  bool is_outstanding(uint32_t request_id) const;
  Call& call(uint32_t request_id);
  bool has_call_in_flight() const;
  /// Sets the call aside in the shared budget, where there is one. False where it has to wait, or
  /// the budget is spent and the workflow decided.
  bool take_shared(const Worker::Bound& claim);

  /// Charges the calls whose replies the workflow did not live to see.
  void charge_undelivered();

  /// The second try of a lost one. Its budgets begin anew; what the first has spent is remembered.
  static std::unique_ptr<Flow> again(Flow lost);

  /// The result with the usage of both tries; to be taken once.
  WorkflowResult take_result();

  /// The first decision counts.
  void decide(WorkflowResult::Status status, std::string error);
  int64_t wall_ms() const;
  /// How long the oldest call has waited for the worker; 0 where none does.
  int64_t longest_wait_ms() const;
};

/// Whether a frame of that type may come next: one of each that tells of the start, then requests
/// and an answer.
bool is_expected(const Flow& flow, FrameType type);

/// A `call_llm`, `exec_code` or `call_tool` frame, or what is wrong with it.
struct FlowRequest {
  enum class Kind { kCallLlm, kExecCode, kCallTool, kInvalid };
  Kind kind = Kind::kInvalid;
  std::string error;     ///< kInvalid, for the workflow to read
  WorkerRequest worker;  ///< kCallLlm, without seed and cancel flag
  std::string solution;  ///< kExecCode
  std::string entry_point;
  std::string tool;  ///< kCallTool
  std::vector<PythonValue> arguments;
  PythonValue keywords;
};

FlowRequest parse_flow_request(const PythonValue& value);

/// What the call asks, for call_seed: equal for equal calls.
uint64_t content_hash(const WorkerRequest& request);

/// Counts the request against the budget, an invalid one as a call. A budget exceeded is its name
/// and figure; else nothing.
std::optional<std::string> charge_request(Flow& flow, const FlowRequest& request);
std::optional<std::string> charge_reply(Flow& flow, const WorkerReply& reply);

/// What the budget leaves of tokens and money beside what the calls under way set aside.
Worker::Bound left_of_budget(const Flow& flow);

/// The budget that leaves nothing for a call of this bound, its name and figure; else nothing.
std::optional<std::string> spent_budget(const Flow& flow, const Worker::Bound& bound);

/// Takes the workflow's answer frame: kAnswered, or kWorkflowError with the reason.
void take_answer(Flow& flow, const Frame& frame);

/// The reply frame (True, value) or (False, message).
std::string reply_frame(uint32_t id, bool good, PythonValue value);

}  // namespace weft
