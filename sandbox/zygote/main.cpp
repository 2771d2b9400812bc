/// weft_zygote TIER MODULES [workflows] [bare] [uid=N] [packages=DIR] [hash_seed=N]: a warm Python
/// in a jail that forks one child per job. Started by sandbox/jail/zygote_process.cpp with the
/// control socket as descriptor 3 and no environment.
#include <fcntl.h>
#include <linux/capability.h>
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
    throw JailError("standard streams");
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

int serve(const JailOptions& options, const std::string& modules) {
  const bool has_namespaces = options.tier != "C";
  if (has_namespaces && getpid() != 1) throw JailError("not PID 1 of a new PID namespace");
  ignore_signals();
  mallopt(M_ARENA_MAX, 1);
  const ProcHandles proc = open_proc_handles();
  replace_standard_streams();
  if (has_namespaces) enter_root(options);
  if (options.tier == "B" || (options.tier == "C" && geteuid() == 0)) {
    become_user(has_namespaces ? kJailId : options.host_id, has_namespaces);
  }
  // For namespaces and mounts of jobs.
  keep_capabilities(has_namespaces ? 1u << CAP_SYS_ADMIN : 0);
  // After the change of user, which undoes it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) throw JailError("PR_SET_PDEATHSIG");
  if (prctl(PR_SET_DUMPABLE, 0) != 0) throw JailError("PR_SET_DUMPABLE");
  Locks locks(options);
  start_interpreter(options, modules);
  send_ready(options.tier + " " + locks.describe());
  Server server(options, locks, proc.pid_namespace, address_space_bytes(proc.statm));
  server.run();
  return 0;
}

int launch(const JailOptions& options, const std::string& modules) {
  be_killed_first();
  if (options.tier != "C") enter_namespaces(options);
  const pid_t pid = fork();
  if (pid < 0) throw JailError("fork into the PID namespace");
  if (pid == 0) return serve(options, modules);
  close(kControlFd);
  keep_capabilities(0);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return 0;
}

JailOptions options_of(int argc, char** argv) {
  JailOptions options;
  options.tier = argv[1];
  for (int i = 3; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "workflows") options.workflows = true;
    if (argument == "bare") options.bare = true;
    if (argument.starts_with("uid=")) {
      options.host_id = static_cast<unsigned>(std::stoul(argument.substr(4)));
    }
    if (argument.starts_with("hash_seed=")) {
      options.hash_seed = static_cast<unsigned>(std::stoul(argument.substr(10)));
    }
    if (argument.starts_with("packages=")) options.packages = argument.substr(9);
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  syscall(SYS_close_range, kControlFd + 1, ~0u, 0);
  try {
    _exit(launch(options_of(argc, argv), argv[2]));
  } catch (const JailError& error) {
    send_failure(0, error.what(), error.code());
    _exit(1);
  }
}
