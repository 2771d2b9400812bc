/// One job on one slot, watched from outside: frames, time, output, end.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "sandbox/jail/limits.h"
#include "sandbox/jail/zygote_process.h"
#include "sandbox/value/wire.h"

namespace weft {

struct JobLimits {
  int64_t cpu_us = 0;   ///< between two calls of restart_clock
  int64_t wall_us = 0;  ///< likewise
  int64_t job_wall_us = std::numeric_limits<int64_t>::max();  ///< of the whole job, as wall_us()
  int64_t output_bytes = 0;
  const std::atomic<bool>* cancelled = nullptr;  ///< ends the job when set; borrowed, may be null
};

class JobRun {
 public:
  /// Starts the job. Throws Error when the slot is dead.
  JobRun(ZygoteProcess& zygote, const JobSpec& spec, const JobLimits& limits);

  /// Kills the job if it lives and waits until nothing of it is left.
  ~JobRun();
  JobRun(const JobRun&) = delete;
  JobRun& operator=(const JobRun&) = delete;

  /// Queues bytes for the job's channel; they leave during next().
  void send(std::string bytes) { unsent_ += bytes; }

  enum class Event {
    kFrame,    ///< `frame` is filled
    kExited,   ///< and all it wrote has been read
    kTimeCpu,  ///< this and the following: the job has been killed and swept
    kTimeWall,
    kTimeJob,  ///< the wall time of the whole job is spent
    kOutput,
    kProtocol,
    kCancelled,
    kInfra,  ///< the slot is unusable
  };
  /// Blocks until something happens.
  Event next(Frame& frame);

  /// The limits count from now: the job was given, or finished, a piece of work.
  void restart_clock();

  /// The wall time since the last frame is not the job's: it had nothing to do.
  void resume_clock();

  void kill();  ///< and wait; afterwards exit fields are valid

  bool exited() const { return exited_; }
  bool locked() const { return locked_; }      ///< it got as far as guest code
  bool broken() const { return broken_; }      ///< the slot needs a new zygote
  int64_t cpu_now_us() const;                  ///< of the living process; 0 when it is gone
  int wait_status() const { return status_; }  ///< after kExited
  int64_t cpu_us() const { return cpu_us_; }   ///< whole job, after its end
  int64_t wall_us() const;  ///< of the job so far, without what resume_clock left out
  int64_t peak_kb() const { return peak_kb_; }     ///< after its end
  const std::string& out() const { return out_; }  ///< standard output so far
  const std::string& infra_reason() const { return infra_reason_; }

 private:
  using Clock = std::chrono::steady_clock;

  void wait_started();
  void poll_once(int timeout_ms, bool reading);
  void take_replies();
  void read_channel();
  void read_output(Fd& fd, std::string* text);
  void write_channel();
  void plan_look(int64_t cpu_used_us, int64_t wall_left_us);
  int64_t wall_left_us() const;
  std::optional<Event> limit_reached();
  int timeout_ms() const;
  Event end_with(Event event);
  void fail(const std::string& reason);

  ZygoteProcess& zygote_;
  JobLimits limits_;
  uint64_t id_;
  JobFds fds_;
  FrameReader reader_;
  std::string unsent_;
  std::string out_;
  int64_t output_bytes_ = 0;
  pid_t pid_ = 0;
  bool locked_ = false;
  bool exited_ = false;
  bool broken_ = false;
  int status_ = 0;
  int64_t cpu_us_ = 0;
  int64_t peak_kb_ = 0;
  int64_t cpu_at_start_us_ = 0;
  Clock::time_point job_started_;
  Clock::time_point started_;
  Clock::time_point last_frame_;
  Clock::time_point look_at_;
  std::string infra_reason_;
};

}  // namespace weft
