#include "sandbox/zygote/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "sandbox/zygote/interpreter.h"
#include "sandbox/zygote/jail.h"
#include "sandbox/zygote/thread_stacks.h"

namespace weft::zygote {

Server::Server(const JailOptions& options, Locks& locks, int pid_namespace, int64_t base_bytes)
    : options_(options), locks_(locks), pid_namespace_(pid_namespace), base_bytes_(base_bytes) {}

void Server::run() {
  std::vector<pollfd> polled;
  for (;;) {
    polled.assign(1, {kControlFd, POLLIN, 0});
    for (const auto& [pidfd, job] : jobs_) polled.push_back({pidfd, POLLIN, 0});
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    for (size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents) reap(polled[i].fd);
    }
    if (polled[0].revents && !handle_request()) return;
  }
}

bool Server::handle_request() {
  ControlRequest request;
  int fds[kMaxFds];
  if (!receive_request(request, fds)) return false;
  if (request.kind == ControlRequest::Kind::kStart) {
    start(request, fds);
  } else {
    for (const auto& [pidfd, job] : jobs_) {
      if (job.id == request.job) syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    }
  }
  for (const int fd : fds) {
    if (fd >= 0) close(fd);
  }
  return true;
}

// Workflows are PID 1 of a new namespace below this one each.
bool Server::enter_pid_namespace() {
  if (!options_.workflows || options_.tier == "C") return true;
  if (children_elsewhere_ && setns(pid_namespace_, CLONE_NEWPID) != 0) return false;
  children_elsewhere_ = unshare(CLONE_NEWPID) == 0;
  return children_elsewhere_;
}

void Server::start(const ControlRequest& request, const int (&fds)[kMaxFds]) {
  if (options_.tier == "C" && (request.scratch_mb > 0 || request.max_procs > 0)) {
    return send_failure(request.job, "scratch or processes at tier C", EPERM);
  }
  if (!enter_pid_namespace()) {
    return send_failure(request.job, "PID namespace of a job", errno);
  }
  try {
    locks_.prepare(request);
  } catch (const JailError& error) {
    return send_failure(request.job, error.what(), error.code());
  }
  const int pid = fork_interpreter();
  if (pid == 0) become_child(request, fds);
  if (pid < 0) return send_failure(request.job, "fork", errno);
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    const int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return send_failure(request.job, "pidfd_open", error);
  }
  jobs_[pidfd] = {request.job, pid};
  send_started(request.job, pid, options_.tier != "C");
}

void Server::become_child(const ControlRequest& request, const int (&fds)[kMaxFds]) {
  const int stdin_fd = fds[3] >= 0 ? fds[3] : open("/dev/null", O_RDONLY | O_CLOEXEC);
  // Descriptors that arrived all lie above 3, so none is overwritten before it is copied.
  if (dup2(stdin_fd, 0) != 0 || dup2(fds[1], 1) != 1 || dup2(fds[2], 2) != 2 ||
      dup2(fds[0], kChannelFd) != kChannelFd) {
    _exit(Locks::kLockFailed);
  }
  try {
    locks_.apply(request, base_bytes_, fds[4]);
  } catch (const JailError&) {
    _exit(Locks::kLockFailed);
  }
  limit_thread_stacks(request.memory_bytes);
  _exit(run_child(request.child, request.seed));
}

void Server::reap(int pidfd) {
  const Job job = jobs_.at(pidfd);
  int status = 0;
  rusage usage{};
  if (wait4(job.pid, &status, 0, &usage) != job.pid) status = -1;
  close(pidfd);
  jobs_.erase(pidfd);
  if (!options_.workflows && options_.tier != "C") sweep();
  const auto microseconds = [](const timeval& t) { return t.tv_sec * 1000000LL + t.tv_usec; };
  send_exited(job.id, status, microseconds(usage.ru_utime) + microseconds(usage.ru_stime),
              usage.ru_maxrss);
}

void Server::sweep() {
  if (getpid() != 1) _exit(1);
  kill(-1, SIGKILL);
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

}  // namespace weft::zygote
