/// What the sandbox's measurements share.
#pragma once

#include <vector>

#include "bench/measure.h"
#include "sandbox/jail/sandbox.h"

namespace weft::bench {

/// What a job costs beyond a fork without any lock (bare_fork), from interleaved runs.
Json measure_isolation(double seconds);

/// Round trips of call_llm through asyncio, and how many a second go at once.
Json measure_channel(Sandbox& sandbox);

/// Private memory of workflows that wait for their worker.
Json measure_waiting_workflows(Sandbox& sandbox, int count);

/// Sum of a field of /proc/PID/smaps_rollup over processes, in MB.
double memory_mb(const std::vector<int>& pids, const char* field);

/// Pids of this process' descendants.
std::vector<int> descendants();

}  // namespace weft::bench
