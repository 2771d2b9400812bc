/// The system-call filter of jailed children.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "sandbox/zygote/locks.h"

namespace weft::zygote {

/// An allowlist of what CPython and asyncio need; everything else fails with EPERM, clone3 with
/// ENOSYS (so that libc falls back to clone, whose flags a filter can see), and calls that serve
/// nothing but an escape kill the process. Other ABIs (32 bit, x32) kill it too. Throws StepError.
std::vector<sock_filter> make_filter(ProcessPolicy policy);

}  // namespace weft::zygote
