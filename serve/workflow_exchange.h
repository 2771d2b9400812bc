/// A workflow request running on a thread of its own while the handler reads its events.
#pragma once

#include <optional>
#include <thread>

#include "base/json.h"
#include "serve/connection.h"
#include "serve/workflow_service.h"

namespace weft {

class WorkflowExchange {
 public:
  /// Borrows `service`. Events other than the last come only when the call wants a stream.
  WorkflowExchange(const WorkflowService& service, WorkflowCall call, CancelFlag cancelled);

  /// Waits for the request's end; set its cancel flag before to make that soon.
  ~WorkflowExchange();
  WorkflowExchange(const WorkflowExchange&) = delete;
  WorkflowExchange& operator=(const WorkflowExchange&) = delete;

  /// Waits up to 50 ms. The last event is {"type":"done", ...the answer} or
  /// {"type":"error","status",...the error's body}.
  std::optional<Json> next() { return channel_.pop(); }

  static bool is_last(const Json& event);

 private:
  void run(const WorkflowService& service, const WorkflowCall& call, CancelFlag cancelled);

  Channel<Json> channel_;
  std::thread thread_;
};

}  // namespace weft
