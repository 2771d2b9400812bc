#include "sandbox/jail/remedy.h"

#include <linux/capability.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>

namespace weft {
namespace {

std::string first_word_of(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// The rest of the line of /proc/self/status that begins so.
std::string own_status(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return line.substr(key.size());
  }
  return "";
}

bool is_under_seccomp() { return own_status("Seccomp:").find('2') != std::string::npos; }

bool has_capability(int number) {
  return (std::strtoull(own_status("CapEff:").c_str(), nullptr, 16) >> number) & 1;
}

bool is_root() { return geteuid() == 0; }

std::string or_as_root() { return is_root() ? "" : ", or run as root"; }

const char* const kProfile = "give the program an AppArmor profile with \"userns,\"";

bool is_restricted_by_apparmor() {
  return first_word_of("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1";
}

std::string remedy_for_refused_namespace() {
  if (first_word_of("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "set sysctl kernel.unprivileged_userns_clone=1" + or_as_root();
  }
  if (is_restricted_by_apparmor()) {
    return std::string(kProfile) +
           ", or set sysctl kernel.apparmor_restrict_unprivileged_userns=0" + or_as_root();
  }
  if (is_under_seccomp()) {
    return "the container's seccomp profile forbids user namespaces; start it with a profile that "
           "allows clone and unshare";
  }
  return "allow user namespaces to this user" + or_as_root();
}

std::string remedy_for_refused_maps() {
  if (is_root() && !(has_capability(CAP_SETUID) && has_capability(CAP_SETGID))) {
    return "this root has no CAP_SETUID and CAP_SETGID: give it both (docker run --cap-add), or "
           "start the program as an ordinary user";
  }
  return remedy_for_refused_namespace();
}

// The namespace was made, and what it should be able to do was refused.
std::string remedy_for_lost_rights(int error) {
  if (error == EPERM && is_under_seccomp() && !is_restricted_by_apparmor()) {
    return "the container's seccomp profile forbids what jails are made of; start it with a "
           "profile that allows mount, umount2, pivot_root and sethostname";
  }
  return "a security module takes the rights of new namespaces away: where it is AppArmor, " +
         std::string(kProfile) + ", where SELinux, a domain that may make user namespaces";
}

bool names(const std::string& step, const char* part) {
  return step.find(part) != std::string::npos;
}

}  // namespace

std::string remedy_for(const std::string& step, int error) {
  if (names(step, "/proc")) return "mount proc on /proc; a container must not mask it";
  if (names(step, "/dev/")) {
    return "/dev/null, /dev/zero and /dev/urandom must be the character devices of these names, "
           "readable and /dev/null writable, on a mount without nodev";
  }
  if (names(step, "seccomp")) {
    return "a kernel with CONFIG_SECCOMP_FILTER; nothing around the program may forbid seccomp(2)";
  }
  if (names(step, "landlock"))
    return "Linux 6.12 or later with landlock in the boot parameter lsm=";
  if (error == EAGAIN) {
    return "too many processes: raise kernel.pid_max, the container's pids limit or RLIMIT_NPROC";
  }
  const bool is_refused = error == EPERM || error == EACCES;
  if (names(step, "unshare of user namespaces")) {
    if (error == ENOSPC) return "raise sysctl user.max_user_namespaces";
    if (is_refused) return remedy_for_refused_namespace();
  }
  if (names(step, "uid_map") && is_refused) return remedy_for_refused_maps();
  if (names(step, "without a user namespace")) {
    return is_root() ? "tier B needs root with CAP_SYS_ADMIN, which this root has not"
                     : "tier B needs root with CAP_SYS_ADMIN";
  }
  if (is_refused) return remedy_for_lost_rights(error);
  return "see docs/sandbox.md";
}

}  // namespace weft
