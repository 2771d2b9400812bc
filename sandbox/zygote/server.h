/// The loop of a zygote: requests in, one fork each, exits out.
#pragma once

#include <cstdint>
#include <map>

#include "sandbox/zygote/control.h"
#include "sandbox/zygote/locks.h"

namespace weft::zygote {

class Server {
 public:
  /// With options.workflows several jobs may run at a time, each in a PID namespace of its own;
  /// else one at a time, and after each the whole namespace is swept by kill(-1). Without
  /// namespaces (tier C) a job cannot have further processes. `pid_namespace`: descriptor of the
  /// zygote's own. `base_bytes`: address space of the zygote itself.
  Server(const JailOptions& options, Locks& locks, int pid_namespace, int64_t base_bytes);

  /// Returns when the control socket closes.
  void run();

 private:
  struct Job {
    uint64_t id;
    int pid;
  };

  bool handle_request();
  bool enter_pid_namespace();
  void start(const ControlRequest& request, const int (&fds)[kMaxFds]);
  [[noreturn]] void become_child(const ControlRequest& request, const int (&fds)[kMaxFds]);
  void reap(int pidfd);
  void sweep();

  const JailOptions& options_;
  Locks& locks_;
  int pid_namespace_;
  bool children_elsewhere_ = false;  // the next child would be made in another PID namespace
  int64_t base_bytes_;
  std::map<int, Job> jobs_;  // by pidfd
};

}  // namespace weft::zygote
