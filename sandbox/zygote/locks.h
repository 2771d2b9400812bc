/// The locks that a forked child puts on itself before it reads a byte of guest data.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/zygote/protocol.h"

namespace weft::zygote {

/// What a child may do beyond computing.
enum class ProcessPolicy {
  kNone,       ///< neither threads nor processes (workflows)
  kThreads,    ///< threads, up to a limit
  kProcesses,  ///< and processes, up to a limit; never a new program
};

/// Prepared once by the zygote; each child applies it.
class Locks {
 public:
  /// Builds the filters and the landlock ruleset. Throws StepError where one cannot be made;
  /// landlock alone may be missing.
  Locks();

  /// "landlock=7 seccomp" as ControlReply::what says it.
  std::string describe() const;

  /// In the child. `base_bytes` is the address space that the zygote itself occupies. Any failure
  /// ends the process with kLockFailed.
  void apply(const ControlRequest& request, int64_t base_bytes) const;

  static constexpr int kLockFailed = 121;  ///< exit status

 private:
  std::vector<sock_filter> filters_[3];  ///< by ProcessPolicy
  int landlock_abi_ = 0;
  int ruleset_ = -1;
};

}  // namespace weft::zygote
