/// weft_zygote TIER MODULES [workflows]: a warm Python in a jail that forks one child per job.
/// Started by sandbox/slot.cpp with the control socket as descriptor 3 and no environment.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "sandbox/zygote/control.h"
#include "sandbox/zygote/interpreter.h"
#include "sandbox/zygote/jail.h"
#include "sandbox/zygote/locks.h"
#include "sandbox/zygote/server.h"

namespace {

using namespace weft;
using namespace weft::zygote;

// Standard input reads nothing, standard output and error are pipes, as they will be in children:
// Python looks at them when it starts.
void replace_standard_streams() {
  int ends[2];
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || pipe2(ends, O_CLOEXEC) != 0 || dup2(null, 0) != 0 || dup2(ends[1], 1) != 1 ||
      dup2(ends[1], 2) != 2) {
    throw StepError("standard streams");
  }
  close(null);
  close(ends[1]);
}

void ignore_signals() {
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGCHLD)
      signal(number, number == SIGPIPE || number == SIGXFSZ ? SIG_IGN : SIG_DFL);
  }
}

int serve(const std::string& tier, const std::string& modules, bool workflows) {
  if (getpid() != 1) throw StepError("not PID 1 of a new PID namespace");
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) throw StepError("PR_SET_PDEATHSIG");
  ignore_signals();
  mallopt(M_ARENA_MAX, 1);
  const ProcHandles proc = open_proc_handles();
  replace_standard_streams();
  enter_root();
  if (tier == "B") become_jail_user();
  if (prctl(PR_SET_DUMPABLE, 0) != 0) throw StepError("PR_SET_DUMPABLE");
  const Locks locks;
  start_interpreter(modules, workflows);
  send_ready(tier + " " + locks.describe());
  Server server(locks, workflows ? proc.pid_namespace : -1, address_space_bytes(proc.statm));
  server.run();
  return 0;
}

int launch(const std::string& tier, const std::string& modules, bool workflows) {
  enter_namespaces(tier == "A");
  const pid_t pid = fork();
  if (pid < 0) throw StepError("fork into the PID namespace");
  if (pid == 0) return serve(tier, modules, workflows);
  close(kControlFd);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  syscall(SYS_close_range, kControlFd + 1, ~0u, 0);
  try {
    _exit(launch(argv[1], argv[2], argc > 3));
  } catch (const StepError& error) {
    send_failure(0, error.what(), error.code());
    _exit(1);
  }
}
