/// The event loop of a WorkflowHost: one thread, any number of workflows.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "sandbox/jail/memory_admission.h"
#include "sandbox/workflow/workflow_flow.h"

namespace weft {

class WorkflowLoop {
 public:
  WorkflowLoop(Sandbox& sandbox, Judge& judge, Worker& worker, int max_concurrent,
               int64_t memory_mb);
  ~WorkflowLoop();
  WorkflowLoop(const WorkflowLoop&) = delete;
  WorkflowLoop& operator=(const WorkflowLoop&) = delete;

  /// From any thread.
  void submit(WorkflowJob job, std::function<void(WorkflowResult)> done);

 private:
  void post(std::function<void()> task);  // from any thread: `task` runs on the loop's
  void loop();
  void run_posted();
  void handle(uint64_t key, uint32_t events);
  void start_queued();
  void start(std::unique_ptr<Flow> flow);
  void start_process(Flow& flow);
  void end_unstarted(Flow& flow, const std::string& reason);
  void answer(Flow& flow);
  void watch(int fd, uint64_t key, uint32_t events);
  void take_replies();
  void lose_zygote(const std::string& reason);
  int ms_to_tick() const;  // 0: it is due
  void tick();

  void read_channel(Flow& flow);
  void read_output(Flow& flow, Fd& fd);
  void flush(Flow& flow);
  void take_frames(Flow& flow);
  void take_request(Flow& flow, const Frame& frame);
  void call_llm(Flow& flow, uint32_t id, WorkerRequest request);
  void submit_held(Flow& flow);
  void count_unasked(Flow& flow);
  void submit_call(Flow& flow, uint32_t id, WorkerRequest request, const Worker::Bound& claim);
  void exec_code(Flow& flow, uint32_t id, const FlowRequest& request);
  void finish_call(uint64_t flow_id, uint32_t id, const WorkerReply& reply, Json entry);
  void deliver(Flow& flow, const Flow::Call& call);
  void call_tool(Flow& flow, uint32_t id, FlowRequest request);
  void finish_tool(uint64_t flow_id, uint32_t id, const ToolReply& reply, Json entry);
  void finish_exec(uint64_t flow_id, uint32_t id, const Verdict& verdict, Json entry);
  void take_exit(Flow& flow, const ControlReply& reply);
  void settle(Flow& flow);

  Sandbox& sandbox_;
  Judge& judge_;
  Worker& worker_;
  size_t max_concurrent_;
  MemoryAdmission memory_;
  Fd epoll_;
  Fd wake_;
  std::unique_ptr<ZygoteProcess> zygote_;
  std::map<uint64_t, std::unique_ptr<Flow>> flows_;
  std::deque<std::unique_ptr<Flow>> queue_;
  std::vector<uint64_t> unread_;  // flows whose channel holds more than one turn's bytes
  Flow::Clock::time_point next_tick_;
  uint64_t last_id_ = 0;
  // That judge and tools have not given back, their workflows alive or not.
  int num_execs_ = 0, num_tool_calls_ = 0;
  bool stopping_ = false;
  std::mutex mutex_;
  std::deque<std::function<void()>> posted_;
  std::thread thread_;
};

}  // namespace weft
