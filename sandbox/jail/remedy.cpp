#include "sandbox/jail/remedy.h"

#include <cerrno>
#include <fstream>

namespace weft {
namespace {

std::string first_word_of(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

bool is_under_seccomp() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Seccomp:")) return line.find('2') != std::string::npos;
  }
  return false;
}

std::string remedy_for_refused_namespace() {
  if (first_word_of("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "set sysctl kernel.unprivileged_userns_clone=1, or run as root";
  }
  if (first_word_of("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "give the program an AppArmor profile with \"userns,\", or set sysctl "
           "kernel.apparmor_restrict_unprivileged_userns=0, or run as root";
  }
  if (is_under_seccomp()) {
    return "the container's seccomp profile forbids user namespaces; start it with a profile that "
           "allows clone and unshare";
  }
  return "allow user namespaces to this user, or run as root";
}

bool names(const std::string& step, const char* part) {
  return step.find(part) != std::string::npos;
}

}  // namespace

std::string remedy_for(const std::string& step, int error) {
  if (names(step, "/proc")) return "mount proc on /proc; a container must not mask it";
  if (names(step, "seccomp")) {
    return "a kernel with CONFIG_SECCOMP_FILTER; nothing around the program may forbid seccomp(2)";
  }
  if (names(step, "landlock"))
    return "Linux 6.12 or later with landlock in the boot parameter lsm=";
  if (error == EAGAIN) {
    return "too many processes: raise kernel.pid_max, the container's pids limit or RLIMIT_NPROC";
  }
  if (names(step, "user namespaces") || names(step, "uid_map")) {
    if (error == ENOSPC) return "raise sysctl user.max_user_namespaces";
    if (error == EPERM || error == EACCES) return remedy_for_refused_namespace();
  }
  if (names(step, "without a user namespace")) return "tier B needs root with CAP_SYS_ADMIN";
  if (error == EACCES || error == EPERM) {
    return "the namespace was made but has no rights of its own: give the program an AppArmor "
           "profile with \"userns,\"";
  }
  return "see docs/sandbox.md";
}

}  // namespace weft
