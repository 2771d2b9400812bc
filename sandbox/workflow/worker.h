/// The worker model behind `call_llm`, as the sandbox sees it: text in, texts out.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace weft {

struct WorkerRequest {
  std::vector<std::string> messages;  ///< user messages, in order
  std::string agent_role;             ///< with `instructions` the system message
  std::string instructions;
  double temperature = 0;
  int num_responses = 1;
  uint64_t seed = 0;
  int64_t max_tokens = std::numeric_limits<int64_t>::max();  ///< prompt and responses together
  double max_usd = std::numeric_limits<double>::infinity();
  std::shared_ptr<std::atomic<bool>> cancelled;  ///< set when the workflow died; never null
};

struct WorkerReply {
  enum class Status {
    kOk,
    kRefused,         ///< the request's own fault; the workflow sees an exception
    kLimit,           ///< max_tokens or max_usd leave no token to answer with; ends it with kLimit
    kInfrastructure,  ///< ends the workflow with WorkflowResult::Status::kInfrastructure
  };
  Status status = Status::kOk;
  std::vector<std::string> texts;  ///< num_responses of them when kOk; fewer only if `lowered`
  bool lowered =
      false;  ///< responses were shortened, then left out, to stay within the request's max_*
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  double usd = 0;
  std::string error;
};

class Worker {
 public:
  virtual ~Worker() = default;

  /// The most that a request can take, whatever it says of max_tokens and max_usd: what a call that
  /// is under way sets aside of its workflow's budget.
  struct Bound {
    int64_t tokens = 0;
    double usd = 0;
  };
  virtual Bound bound(const WorkerRequest& request) const = 0;

  /// Must not block; `done` is called exactly once, on any thread, also for a cancelled request.
  virtual void submit(WorkerRequest request, std::function<void(WorkerReply)> done) = 0;
};

/// What several workflows may take together; the budget of each lies below it. Thread-safe.
class CallBudget {
 public:
  virtual ~CallBudget() = default;

  enum class Grant {
    kTaken,  ///< the bound is set aside until settle()
    kLater,  ///< there is no room beside the calls under way: to be asked again, see listen()
    kSpent,  ///< there is no room, and no call under way that could leave some
  };
  virtual Grant reserve(const Worker::Bound& bound) = 0;

  /// Ends a call that was taken: its bound is free again, and what it took is counted.
  virtual void settle(const Worker::Bound& bound, const Worker::Bound& taken) = 0;

  /// Calls `settled` after each settle() while `owner` lives, on the thread of whoever settles; it
  /// must not block. Whoever does not look again by itself after kLater would wait for ever where
  /// the calls under way are another's.
  virtual void listen(std::weak_ptr<void> owner, std::function<void()> settled) = 0;
};

}  // namespace weft
