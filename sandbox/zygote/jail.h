/// Namespaces and the file system of a zygote. Single-threaded, before Python starts.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace weft::zygote {

/// A step that failed, with its errno; becomes ControlReply::Kind::kFailed.
class StepError : public std::runtime_error {
 public:
  explicit StepError(const std::string& step);
  int code() const { return code_; }

 private:
  int code_;
};

/// Host uid and gid of jailed processes started by root, and the only id inside every jail.
constexpr unsigned kJailId = 65534;

/// Moves the caller into new namespaces (its next child into a new PID namespace) and gives it the
/// jail's uid, with all capabilities there. With `user_namespace` (tier A) root maps to kJailId,
/// anybody else to themselves; without (tier B) the caller must be root.
void enter_namespaces(bool user_namespace);

/// Tier B: from root to kJailId, keeping capabilities for later forks.
void become_jail_user();

/// What must be read of /proc before it is gone.
struct ProcHandles {
  int pid_namespace = -1;  ///< of the caller
  int statm = -1;
};
ProcHandles open_proc_handles();

/// Bytes of address space of the caller, read from ProcHandles::statm.
int64_t address_space_bytes(int statm);

/// A read-only tmpfs as root with the Python library, shared libraries and three devices.
void enter_root();

}  // namespace weft::zygote
