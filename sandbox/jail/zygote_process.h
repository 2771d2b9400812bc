/// The outside end of one weft_zygote.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "data/task_files.h"
#include "sandbox/zygote/protocol.h"

namespace weft {

/// A descriptor, closed at the end of its life.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

struct ZygoteOptions {
  std::string path;     ///< of weft_zygote
  std::string tier;     ///< "A", "B" or "C"
  std::string modules;  ///< to import beforehand, separated by commas
  bool workflows = false;
  bool bare = false;     ///< without the helpers that kBuiltin jobs call
  unsigned uid = 65534;  ///< of jailed processes on the host, when started by root
  std::string packages;  ///< folder of further importable modules; empty: none
  unsigned hash_seed = 0;
};

/// The parent's ends of a started job's descriptors; non-blocking.
struct JobFds {
  Fd channel;
  Fd out;
  Fd err;
};

struct JobSpec {
  ChildKind child = ChildKind::kCall;
  int64_t memory_mb = 256;
  int64_t cpu_seconds = 10;
  int64_t max_procs = 0;
  int64_t scratch_mb = 0;
  uint64_t seed = 0;
  std::optional<std::string> input;  ///< standard input; none: empty
  TaskFiles files;                   ///< of its folder, which scratch_mb has room for
};

/// Not thread-safe: one user at a time.
class ZygoteProcess {
 public:
  /// Starts the program without waiting for it. Throws Error when it cannot be executed.
  explicit ZygoteProcess(const ZygoteOptions& options);
  ~ZygoteProcess();  ///< ends it and everything in its jail
  ZygoteProcess(const ZygoteProcess&) = delete;
  ZygoteProcess& operator=(const ZygoteProcess&) = delete;

  /// Blocks until jobs can start. Throws Error naming the failed step, its errno and the remedy.
  void wait_ready(int timeout_ms = 20000);

  /// "A landlock=7 seccomp"; after wait_ready.
  const std::string& description() const { return description_; }

  /// Asks for a job under a number that the caller chooses. Throws Error when the zygote is gone.
  JobFds start(uint64_t job, const JobSpec& spec);
  /// Whether the zygote could be asked to end the job: false while it has too much to read.
  bool kill(uint64_t job);

  struct Reply {
    ControlReply body;
    pid_t pid = 0;  ///< of kStarted, in this process' PID namespace
  };
  enum class Received { kReply, kNothing, kClosed };
  /// Without blocking. After kClosed the zygote is dead.
  Received receive(Reply& reply);

  /// Whether its end of the control socket is open.
  bool is_alive() const;

  int control_fd() const { return control_.get(); }

 private:
  pid_t launcher_ = -1;
  Fd control_;
  std::string description_;
};

/// CPU time that a process has used, in microseconds; nothing when it is gone.
std::optional<int64_t> process_cpu_us(pid_t pid);

}  // namespace weft
