#include "sandbox/jail/job_run.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

namespace weft {
namespace {

constexpr int kSlotTimeoutMs = 10000;  // a zygote that says nothing for so long is lost
constexpr int kCancelMs = 50;          // grain of looking whether the job is still wanted
std::atomic<uint64_t> last_job{0};

int64_t num_cores() {
  static const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  return cores;
}

int64_t us_since(std::chrono::steady_clock::time_point start) {
  const auto passed = std::chrono::steady_clock::now() - start;
  return std::chrono::duration_cast<std::chrono::microseconds>(passed).count();
}

}  // namespace

JobRun::JobRun(ZygoteProcess& zygote, const JobSpec& spec, const JobLimits& limits)
    : zygote_(zygote), limits_(limits), id_(++last_job), fds_(zygote.start(id_, spec)) {}

JobRun::~JobRun() { kill(); }

void JobRun::fail(const std::string& reason) {
  broken_ = true;
  infra_reason_ = reason;
}

void JobRun::wait_started() {
  while (pid_ == 0 && !broken_) {
    pollfd polled{zygote_.control_fd(), POLLIN, 0};
    const int ready = poll(&polled, 1, kSlotTimeoutMs);
    if (ready == 0) return fail("the zygote does not answer");
    if (ready > 0) take_replies();
  }
}

void JobRun::take_replies() {
  ZygoteProcess::Reply reply;
  for (;;) {
    switch (zygote_.receive(reply)) {
      case ZygoteProcess::Received::kNothing:
        return;
      case ZygoteProcess::Received::kClosed:
        return fail("the zygote died");
      case ZygoteProcess::Received::kReply:
        break;
    }
    if (reply.body.job != id_) continue;
    if (reply.body.kind == ControlReply::Kind::kStarted) {
      pid_ = reply.pid;
    } else if (reply.body.kind == ControlReply::Kind::kExited) {
      exited_ = true;
      status_ = reply.body.status;
      cpu_us_ = reply.body.cpu_us;
      peak_kb_ = reply.body.peak_kb;
      return;
    } else {
      const std::string what(reply.body.what, strnlen(reply.body.what, sizeof reply.body.what));
      return fail(what + ": " + std::strerror(reply.body.error));
    }
  }
}

void JobRun::restart_clock() {
  started_ = last_frame_ = Clock::now();
  if (const auto used = process_cpu_us(pid_)) cpu_at_start_us_ = *used;
  plan_look(0, wall_left_us());
}

void JobRun::resume_clock() {
  const auto pause = Clock::now() - last_frame_;
  started_ += pause;
  job_started_ += pause;
  last_frame_ += pause;
}

int64_t JobRun::cpu_now_us() const { return process_cpu_us(pid_).value_or(0); }

int64_t JobRun::wall_us() const { return pid_ == 0 ? 0 : us_since(job_started_); }

// Of the time for this piece of work, or of the job's.
int64_t JobRun::wall_left_us() const {
  return std::min(limits_.wall_us - us_since(started_), limits_.job_wall_us - wall_us());
}

// No limit can be reached before `look_at_`.
void JobRun::plan_look(int64_t cpu_used_us, int64_t wall_left_us) {
  // Threads on all cores may use up the rest so many times faster than the clock on the wall.
  const int64_t cpu_left = (limits_.cpu_us - cpu_used_us) / num_cores();
  const int64_t left = std::max<int64_t>(std::min(cpu_left, wall_left_us), 1000);
  look_at_ = Clock::now() + std::chrono::microseconds(left);
}

std::optional<JobRun::Event> JobRun::limit_reached() {
  if (limits_.cancelled && limits_.cancelled->load()) return Event::kCancelled;
  if (Clock::now() < look_at_) return std::nullopt;
  if (wall_us() >= limits_.job_wall_us) return Event::kTimeJob;
  if (us_since(started_) >= limits_.wall_us) return Event::kTimeWall;
  const int64_t cpu_used = process_cpu_us(pid_).value_or(cpu_at_start_us_) - cpu_at_start_us_;
  if (cpu_used >= limits_.cpu_us) return Event::kTimeCpu;
  plan_look(cpu_used, wall_left_us());
  return std::nullopt;
}

int JobRun::timeout_ms() const {
  const auto left =
      std::chrono::duration_cast<std::chrono::microseconds>(look_at_ - Clock::now()).count();
  const int longest = limits_.cancelled ? kCancelMs : 10000;
  return static_cast<int>(std::clamp<int64_t>((left + 999) / 1000, 1, longest));
}

void JobRun::read_channel() {
  char chunk[1 << 16];
  const ssize_t got = read(fds_.channel.get(), chunk, sizeof chunk);
  if (got > 0) {
    reader_.append(chunk, static_cast<size_t>(got));
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    fds_.channel.reset();
  }
}

void JobRun::read_output(Fd& fd, std::string* text) {
  char chunk[1 << 16];
  const ssize_t got = read(fd.get(), chunk, sizeof chunk);
  if (got > 0) {
    output_bytes_ += got;
    if (text && output_bytes_ <= limits_.output_bytes)
      text->append(chunk, static_cast<size_t>(got));
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    fd.reset();
  }
}

void JobRun::write_channel() {
  const ssize_t sent =
      ::send(fds_.channel.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) {
    unsent_.erase(0, static_cast<size_t>(sent));
  } else if (errno != EAGAIN && errno != EINTR) {
    unsent_.clear();  // the job closed its end; its exit will tell
  }
}

// Waits for and handles what is ready. `reading` false only waits for the end.
void JobRun::poll_once(int timeout, bool reading) {
  pollfd polled[4] = {{exited_ ? -1 : zygote_.control_fd(), POLLIN, 0},
                      {fds_.channel.get(), POLLIN, 0},
                      {fds_.out.get(), POLLIN, 0},
                      {fds_.err.get(), POLLIN, 0}};
  if (!reading) polled[1].fd = polled[2].fd = polled[3].fd = -1;
  if (!unsent_.empty()) polled[1].events |= POLLOUT;
  if (poll(polled, 4, timeout) <= 0) return;
  if (polled[1].revents & POLLOUT) write_channel();
  if (polled[1].revents & (POLLIN | POLLHUP | POLLERR)) read_channel();
  if (polled[2].revents) read_output(fds_.out, &out_);
  if (polled[3].revents) read_output(fds_.err, nullptr);
  if (polled[0].revents) take_replies();
}

void JobRun::kill() {
  if (exited_ || broken_) return;
  bool told = zygote_.kill(id_);
  const auto start = Clock::now();
  while (!exited_ && !broken_) {
    poll_once(told ? 100 : 1, false);
    told = told || zygote_.kill(id_);
    if (Clock::now() - start > std::chrono::milliseconds(kSlotTimeoutMs)) {
      fail("the zygote does not end a job");
    }
  }
}

JobRun::Event JobRun::end_with(Event event) {
  kill();
  return broken_ ? Event::kInfra : event;
}

JobRun::Event JobRun::next(Frame& frame) {
  // The work is there before the job is: it needs not wait for it.
  if (!unsent_.empty() && fds_.channel && !exited_) write_channel();
  if (pid_ == 0) {
    wait_started();
    job_started_ = Clock::now();
    restart_clock();
  }
  for (;;) {
    if (broken_) return Event::kInfra;
    switch (reader_.next(frame)) {
      case FrameReader::Next::kFrame:
        last_frame_ = Clock::now();
        if (locked_) return Event::kFrame;
        locked_ = frame.type == FrameType::kLocked;
        if (!locked_) return end_with(Event::kProtocol);
        continue;
      case FrameReader::Next::kMalformed:
        return end_with(Event::kProtocol);
      case FrameReader::Next::kMore:
        break;
    }
    if (output_bytes_ > limits_.output_bytes) return end_with(Event::kOutput);
    if (exited_ && !fds_.channel && !fds_.out && !fds_.err) return Event::kExited;
    if (!exited_) {
      if (const auto reached = limit_reached()) return end_with(*reached);
    }
    poll_once(exited_ ? kSlotTimeoutMs : timeout_ms(), true);
  }
}

}  // namespace weft
