/// Memory that this process may use.
#pragma once

#include <cstdint>
#include <filesystem>

namespace weft {

/// Memory of the machine, or of the tightest memory cgroup (versions 1 and 2) around this process
/// where that is less, in bytes: Slurm and containers bound their jobs by cgroups inside of others.
/// `root` is where proc/ and sys/ are found.
int64_t memory_limit(const std::filesystem::path& root = "/");

/// What is left of it: what /proc/meminfo calls available, or the limit less what this process
/// holds, in bytes, at least 0. Others of the same cgroup are not known.
int64_t available_memory(const std::filesystem::path& root = "/");

}  // namespace weft
