#include "sandbox/workflow/workflow_process.h"

#include <future>

#include "sandbox/workflow/workflow_loop.h"

namespace weft {

struct WorkflowHost::Impl {
  Impl(Sandbox& sandbox, Judge& judge, Worker& worker, int max_concurrent, int64_t memory_mb)
      : loop(sandbox, judge, worker, max_concurrent, memory_mb) {}
  WorkflowLoop loop;
};

WorkflowHost::WorkflowHost(Sandbox& sandbox, Judge& judge, Worker& worker, int max_concurrent,
                           int64_t memory_mb)
    : impl_(std::make_unique<Impl>(sandbox, judge, worker, max_concurrent, memory_mb)) {}

WorkflowHost::~WorkflowHost() = default;

void WorkflowHost::start(WorkflowJob job, std::function<void(WorkflowResult)> done) {
  impl_->loop.submit(std::move(job), std::move(done));
}

WorkflowResult WorkflowHost::run(WorkflowJob job) {
  std::promise<WorkflowResult> promise;
  auto future = promise.get_future();
  start(std::move(job),
        [&promise](WorkflowResult result) { promise.set_value(std::move(result)); });
  return future.get();
}

}  // namespace weft
