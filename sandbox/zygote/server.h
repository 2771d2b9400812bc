/// The loop of a zygote: requests in, one fork each, exits out.
#pragma once

#include <cstdint>
#include <map>

#include "sandbox/zygote/control.h"
#include "sandbox/zygote/locks.h"

namespace weft::zygote {

class Server {
 public:
  /// With `pid_namespace` >= 0 (a descriptor of the zygote's own) several jobs may run at a time,
  /// each in a PID namespace of its own; else one at a time, and after each the whole namespace is
  /// swept by kill(-1). `base_bytes`: address space of the zygote itself.
  Server(const Locks& locks, int pid_namespace, int64_t base_bytes);

  /// Returns when the control socket closes.
  void run();

 private:
  struct Job {
    uint64_t id;
    int pid;
  };

  bool handle_request();
  void start(const ControlRequest& request, const int (&fds)[kMaxFds]);
  [[noreturn]] void become_child(const ControlRequest& request, const int (&fds)[kMaxFds]);
  void reap(int pidfd);
  void sweep();

  const Locks& locks_;
  int pid_namespace_;
  int64_t base_bytes_;
  std::map<int, Job> jobs_;  // by pidfd
};

}  // namespace weft::zygote
