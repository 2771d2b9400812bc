#include "sandbox/workflow/workflow_loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "sandbox/jail/slot_pool.h"

namespace weft {
namespace {

using Status = WorkflowResult::Status;

constexpr int64_t kMaxOutputBytes = 1 << 20;
constexpr int64_t kMaxChannelBytes = 64 << 20;  // of a whole workflow
constexpr int64_t kMaxTurnBytes = 1 << 20;      // of one, before others are looked at
// Grain of CPU and wall limits, and of waiting for room in a shared budget.
constexpr std::chrono::milliseconds kTick(20);

// What an epoll event is about; a flow's id in the upper bits.
enum class Source : uint64_t { kChannel, kOut, kErr, kControl, kWake };

void decide_by_time(Flow& flow, Status status, const std::string& limit, int64_t ms) {
  flow.result.usage.clock_decisions += !flow.decided;
  flow.decide(status, limit + ": more than " + std::to_string(ms) + " ms");
}

uint64_t event_key(uint64_t id, Source source) { return (id << 3) | static_cast<uint64_t>(source); }

}  // namespace

WorkflowLoop::WorkflowLoop(Sandbox& sandbox, Judge& judge, Worker& worker, int max_concurrent,
                           int64_t memory_mb)
    : sandbox_(sandbox),
      judge_(judge),
      worker_(worker),
      max_concurrent_(static_cast<size_t>(max_concurrent)),
      memory_(memory_mb > 0 ? memory_mb : (memory_limit() >> 20) * 3 / 4),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (max_concurrent < 1) {
    throw InputError("max_concurrent: expected at least 1, got " + std::to_string(max_concurrent));
  }
  if (!epoll_ || !wake_) throw Error(with_errno("sandbox: cannot make an event loop"));
  watch(wake_.get(), event_key(0, Source::kWake), EPOLLIN);
  thread_ = std::thread([this] { loop(); });
}

WorkflowLoop::~WorkflowLoop() {
  post([this] {
    stopping_ = true;
    for (auto& flow : queue_) end_unstarted(*flow, "the host is shutting down");
    queue_.clear();
    lose_zygote("the host is shutting down");
  });
  thread_.join();
  const std::lock_guard last_poster_is_done(mutex_);
}

void WorkflowLoop::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(task));
  const uint64_t one = 1;
  while (write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void WorkflowLoop::submit(WorkflowJob job, std::function<void(WorkflowResult)> done) {
  auto flow = std::make_shared<Flow>();
  flow->job = std::move(job);
  flow->done = std::move(done);
  flow->result.tier = sandbox_.tier();
  post([this, flow] { queue_.push_back(std::make_unique<Flow>(std::move(*flow))); });
}

void WorkflowLoop::watch(int fd, uint64_t key, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw Error(with_errno("sandbox: cannot watch a descriptor"));
  }
}

void WorkflowLoop::run_posted() {
  uint64_t count;
  while (read(wake_.get(), &count, sizeof count) > 0) {
  }
  std::deque<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void WorkflowLoop::loop() {
  epoll_event events[64];
  while (!stopping_ || !flows_.empty() || num_execs_ > 0 || num_tool_calls_ > 0) {
    const int timeout_ms = !unread_.empty() ? 0 : flows_.empty() ? -1 : ms_to_tick();
    const int count = epoll_wait(epoll_.get(), events, 64, timeout_ms);
    for (int i = 0; i < count; ++i) handle(events[i].data.u64, events[i].events);
    for (const uint64_t id : std::exchange(unread_, {})) {
      handle(event_key(id, Source::kChannel), EPOLLIN);
    }
    if (ms_to_tick() == 0) tick();
    start_queued();
  }
}

int WorkflowLoop::ms_to_tick() const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_tick_ - Flow::Clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

void WorkflowLoop::handle(uint64_t key, uint32_t events) {
  const auto source = static_cast<Source>(key & 7);
  if (source == Source::kWake) return run_posted();
  if (source == Source::kControl) return take_replies();
  const auto found = flows_.find(key >> 3);
  if (found == flows_.end()) return;
  Flow& flow = *found->second;
  if (source == Source::kOut) return read_output(flow, flow.fds.out);
  if (source == Source::kErr) return read_output(flow, flow.fds.err);
  if (events & EPOLLOUT) flush(flow);
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_channel(flow);
  settle(flow);
}

void WorkflowLoop::start_queued() {
  while (!queue_.empty() && flows_.size() < max_concurrent_) {
    const int64_t budget_mb = queue_.front()->job.budget.memory_mb;
    const bool is_possible = memory_.can_ever_admit(budget_mb);
    if (is_possible && !memory_.admit(budget_mb)) return;
    auto flow = std::move(queue_.front());
    queue_.pop_front();
    if (is_possible) {
      start(std::move(flow));
    } else {
      end_unstarted(*flow, "a budget of " + std::to_string(budget_mb) + " MB exceeds the " +
                               std::to_string(memory_.capacity_mb()) + " MB for all workflows");
    }
  }
}

void WorkflowLoop::end_unstarted(Flow& flow, const std::string& reason) {
  flow.decide(Status::kInfrastructure, reason);
  answer(flow);
}

// Whoever is told finds nothing left of the workflow.
void WorkflowLoop::answer(Flow& flow) {
  flow.fds = {};
  flow.done(flow.take_result());
}

// A zygote that has died unnoticed takes no job: the next try is on a new one.
void WorkflowLoop::start(std::unique_ptr<Flow> flow) {
  flow->id = ++last_id_;
  flow->started = Flow::Clock::now();
  for (;;) {
    const bool is_new = !zygote_;
    try {
      start_process(*flow);
      break;
    } catch (const Error& error) {
      if (zygote_ && !zygote_->is_alive()) {
        lose_zygote(error.what());
        if (!is_new) continue;
      }
      memory_.give_back(flow->job.budget.memory_mb);
      return end_unstarted(*flow, error.what());
    }
  }
  const WorkflowJob& job = flow->job;
  std::vector<PythonValue> tools;
  if (job.tools) {
    for (const Tool& tool : job.tools->tools()) tools.push_back(PythonValue::str(tool.name));
  }
  flow->unsent = make_frame(
      FrameType::kJob, 0,
      PythonValue::tuple({PythonValue::str(job.code), PythonValue::str(job.problem),
                          PythonValue::str(job.entry_point), PythonValue::str(job.dataset),
                          PythonValue::list(std::move(tools))}));
  Flow& started = *flow;
  flows_[flow->id] = std::move(flow);
  flush(started);
}

void WorkflowLoop::start_process(Flow& flow) {
  const WorkflowBudget& budget = flow.job.budget;
  JobSpec spec;
  spec.child = ChildKind::kWorkflow;
  spec.memory_mb = budget.memory_mb;
  spec.cpu_seconds = 2 + budget.cpu_ms * 8 / 1000;
  spec.seed = flow.job.seed;
  if (stopping_) throw Error("the host is shutting down");
  if (!zygote_) {
    zygote_ = sandbox_.slots().make_workflow_zygote();
    watch(zygote_->control_fd(), event_key(0, Source::kControl), EPOLLIN);
  }
  flow.fds = zygote_->start(flow.id, spec);
  watch(flow.fds.channel.get(), event_key(flow.id, Source::kChannel), EPOLLIN | EPOLLOUT | EPOLLET);
  watch(flow.fds.out.get(), event_key(flow.id, Source::kOut), EPOLLIN);
  watch(flow.fds.err.get(), event_key(flow.id, Source::kErr), EPOLLIN);
}

void WorkflowLoop::flush(Flow& flow) {
  while (!flow.unsent.empty()) {
    const ssize_t sent = ::send(flow.fds.channel.get(), flow.unsent.data(), flow.unsent.size(),
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      if (errno != EAGAIN) flow.unsent.clear();
      return;
    }
    flow.unsent.erase(0, static_cast<size_t>(sent));
  }
}

// Edge-triggered: reads until nothing is left, or a turn's share and the rest in the next one.
void WorkflowLoop::read_channel(Flow& flow) {
  char chunk[1 << 16];
  const int64_t end_of_turn = flow.channel_bytes + kMaxTurnBytes;
  while (flow.fds.channel && !flow.decided) {
    if (flow.channel_bytes >= end_of_turn) return unread_.push_back(flow.id);
    const ssize_t got = read(flow.fds.channel.get(), chunk, sizeof chunk);
    if (got > 0) {
      flow.channel_bytes += got;
      if (flow.channel_bytes > kMaxChannelBytes) {
        return flow.decide(Status::kWorkflowError, "PROTOCOL: more than 64 MiB of requests");
      }
      flow.reader.append(chunk, static_cast<size_t>(got));
      take_frames(flow);
    } else if (got == 0 || errno == ECONNRESET) {
      flow.fds.channel.reset();
    } else if (errno != EINTR) {
      return;
    }
  }
}

void WorkflowLoop::read_output(Flow& flow, Fd& fd) {
  char chunk[1 << 14];
  const ssize_t got = read(fd.get(), chunk, sizeof chunk);
  if (got == 0) fd.reset();
  if (got <= 0) return;
  flow.output_bytes += got;
  if (flow.output_bytes > kMaxOutputBytes) {
    flow.decide(Status::kWorkflowError, "OUTPUT: more than 1 MiB was printed");
    settle(flow);
  }
}

void WorkflowLoop::take_frames(Flow& flow) {
  Frame frame;
  while (!flow.decided) {
    const auto next = flow.reader.next(frame);
    if (next == FrameReader::Next::kMore) return;
    if (next == FrameReader::Next::kMalformed) {
      return flow.decide(Status::kWorkflowError, "PROTOCOL: a malformed frame");
    }
    if (!is_expected(flow, frame.type)) {
      return flow.decide(Status::kWorkflowError, "PROTOCOL: an unexpected frame");
    }
    if (frame.type == FrameType::kLocked) {
      flow.locked = true;
    } else if (frame.type == FrameType::kLoaded) {
      flow.loaded = true;
    } else if (frame.type == FrameType::kRequest) {
      take_request(flow, frame);
    } else {
      take_answer(flow, frame);
    }
  }
}

void WorkflowLoop::take_replies() {
  ZygoteProcess::Reply reply;
  while (zygote_) {
    const auto received = zygote_->receive(reply);
    if (received == ZygoteProcess::Received::kNothing) return;
    if (received == ZygoteProcess::Received::kClosed) return lose_zygote("the zygote died");
    const auto found = flows_.find(reply.body.job);
    if (found == flows_.end()) continue;
    Flow& flow = *found->second;
    if (reply.body.kind == ControlReply::Kind::kStarted) {
      flow.pid = reply.pid;
    } else {
      take_exit(flow, reply.body);
    }
    settle(flow);
  }
}

void WorkflowLoop::take_exit(Flow& flow, const ControlReply& reply) {
  read_channel(flow);  // what it wrote before its end
  flow.exited = true;
  flow.pid = 0;
  if (reply.kind == ControlReply::Kind::kFailed) {
    const std::string what(reply.what, strnlen(reply.what, sizeof reply.what));
    return flow.decide(Status::kInfrastructure, what + ": " + std::strerror(reply.error));
  }
  if (!flow.locked) flow.decide(Status::kInfrastructure, "a workflow could not lock itself");
  flow.result.cpu_ms = reply.cpu_us / 1000;
  const int status = reply.status;
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    flow.decide(Status::kWorkflowError, number == SIGSYS
                                            ? "POLICY: a forbidden system call"
                                            : "SIGNAL(" + std::to_string(number) + ")");
  }
  flow.decide(Status::kWorkflowError,
              "ended without an answer, exit " + std::to_string(WEXITSTATUS(status)));
}

// The workflows that ran in it are tried again, once.
void WorkflowLoop::lose_zygote(const std::string& reason) {
  zygote_.reset();
  for (auto at = flows_.begin(); at != flows_.end();) {
    Flow& flow = *(at++)->second;  // settle may erase it
    flow.exited = true;
    flow.pid = 0;
    flow.lost = !flow.decided && !flow.retried && !stopping_;
    flow.decide(Status::kInfrastructure, reason);
    settle(flow);
  }
}

// It looks at every workflow, so not after every event.
void WorkflowLoop::tick() {
  next_tick_ = Flow::Clock::now() + kTick;
  for (auto at = flows_.begin(); at != flows_.end();) {
    Flow& flow = *(at++)->second;
    const WorkflowBudget& budget = flow.job.budget;
    if (flow.waits_for_others) submit_held(flow);
    if (flow.wall_ms() > budget.wall_ms) {
      if (flow.waits_for_others) {
        decide_by_time(flow, Status::kInfrastructure,
                       "it waited for room in the shared budget; TIME_WALL", budget.wall_ms);
      } else if (2 * flow.longest_wait_ms() > budget.wall_ms) {
        decide_by_time(flow, Status::kInfrastructure,
                       "worker: it left a call unanswered; TIME_WALL", budget.wall_ms);
      } else {
        decide_by_time(flow, Status::kLimit, "TIME_WALL", budget.wall_ms);
      }
    } else if (const auto used = process_cpu_us(flow.pid)) {
      if (static_cast<double>(*used) >
          static_cast<double>(budget.cpu_ms) * 1000 * sandbox_.time_scale()) {
        decide_by_time(flow, Status::kLimit, "TIME_CPU", budget.cpu_ms);
      }
    }
    settle(flow);
  }
}

// Brings a decided flow to its end; `flow` may be gone afterwards.
void WorkflowLoop::settle(Flow& flow) {
  if (!flow.decided) return;
  flow.result.usage.calls -= static_cast<int>(flow.held.size());  // never made
  flow.held.clear();
  for (const Flow::Call& call : flow.calls) call.cancelled->store(true);
  if (flow.exec) flow.exec->cancelled->store(true);
  if (flow.tool) flow.tool->cancelled->store(true);
  if (!flow.exited) {
    flow.killed = flow.killed || !zygote_ || zygote_->kill(flow.id);
    return;
  }
  if (flow.has_call_in_flight()) return;
  flow.charge_undelivered();
  auto node = flows_.extract(flow.id);
  Flow& ended = *node.mapped();
  memory_.give_back(ended.job.budget.memory_mb);
  if (ended.lost && !stopping_) return queue_.push_front(Flow::again(std::move(ended)));
  ended.result.wall_ms = ended.wall_ms();
  answer(ended);
}

}  // namespace weft
