/// The system-call filter of jailed children.
#pragma once

#include <linux/filter.h>

#include <compare>
#include <vector>

namespace weft::zygote {

/// What a child may do beyond computing.
enum class ProcessPolicy {
  kNone,       ///< neither threads nor processes (workflows)
  kThreads,    ///< threads, up to a limit
  kProcesses,  ///< and processes, up to a limit; never a new program
};

struct FilterKind {
  ProcessPolicy processes = ProcessPolicy::kNone;
  bool scratch = false;  ///< there is a folder to write in

  auto operator<=>(const FilterKind&) const = default;
};

/// An allowlist of what CPython and asyncio need; everything else fails with EPERM, clone3 with
/// ENOSYS (so that libc falls back to clone, whose flags a filter can see), and calls that serve
/// nothing but an escape kill the process. Other ABIs (32 bit, x32) kill it too. Throws JailError.
std::vector<sock_filter> make_filter(FilterKind kind);

}  // namespace weft::zygote
