/// The locks that a forked child puts on itself before it reads a byte of guest data.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sandbox/zygote/jail.h"
#include "sandbox/zygote/protocol.h"
#include "sandbox/zygote/syscalls.h"

namespace weft::zygote {

/// Prepared once by the zygote; each child applies it.
class Locks {
 public:
  /// Probes seccomp and landlock and builds the ruleset. Throws JailError where that cannot be
  /// done; landlock alone may be missing, except at tier C.
  explicit Locks(const JailOptions& options);

  /// "landlock=7 seccomp" as ControlReply::what says it.
  std::string describe() const;

  /// In the zygote, before the fork: builds the filter that the child will need.
  void prepare(const ControlRequest& request);

  /// In the child. `base_bytes` is the address space that the zygote itself occupies; `files` the
  /// descriptor of the job's files. Any failure ends the process with kLockFailed.
  void apply(const ControlRequest& request, int64_t base_bytes, int files) const;

  static constexpr int kLockFailed = 121;  ///< exit status

 private:
  void apply_rlimits(const ControlRequest& request, int64_t base_bytes) const;
  void apply_landlock(const ControlRequest& request) const;

  JailOptions options_;
  std::map<FilterKind, std::vector<sock_filter>> filters_;
  int landlock_abi_ = 0;
  int ruleset_ = -1;
};

}  // namespace weft::zygote
