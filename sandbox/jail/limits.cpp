#include "sandbox/jail/limits.h"

#include <algorithm>

#include "base/error.h"
#include "base/machine.h"

namespace weft {
namespace {

constexpr int64_t kMaxWallMs = 36000000;
constexpr int64_t kMostOfAJobMs = 60000;
constexpr int64_t kScratchMb = 16;

}  // namespace

int64_t Limits::job_wall_limit_ms(int64_t num_tests) const {
  if (job_wall_ms > 0) return job_wall_ms;
  return std::min(kMostOfAJobMs, std::max<int64_t>(num_tests, 1) * wall_limit_ms());
}

int64_t Limits::scratch_limit_mb(const std::string& tier) const {
  if (scratch_mb >= 0) return scratch_mb;
  return tier == "C" ? 0 : kScratchMb;
}

void Limits::require_room_for(const TaskFiles& files, const std::string& tier) const {
  if (!files) return;
  const int64_t room = scratch_limit_mb(tier) << 20;
  const auto bytes = static_cast<int64_t>(folder_bytes(files));
  if (room > 0 && bytes <= room) return;
  throw InputError("files: expected " + std::to_string(bytes) +
                   " bytes of room in the working folder, got " + std::to_string(room) +
                   (tier == "C" ? ": tier C has no such folder" : " by limits.scratch_mb"));
}

void Limits::validate() const {
  const auto need = [](bool ok, const char* name, const char* expected, int64_t got) {
    if (ok) return;
    throw InputError(std::string("limits.") + name + ": expected " + expected + ", got " +
                     std::to_string(got));
  };
  need(cpu_ms > 0 && cpu_ms <= 3600000, "cpu_ms", "1 to 3600000", cpu_ms);
  need(wall_ms >= 0 && wall_ms <= kMaxWallMs, "wall_ms", "0 to 36000000", wall_ms);
  need(job_wall_ms >= 0 && job_wall_ms <= kMaxWallMs, "job_wall_ms", "0 to 36000000", job_wall_ms);
  need(memory_mb > 0, "memory_mb", "1 or more", memory_mb);
  require_memory_mb("limits.memory_mb", memory_mb);
  need(output_bytes >= 0 && output_bytes <= 1 << 30, "output_bytes", "0 to 2^30", output_bytes);
  need(max_procs >= 0 && max_procs <= 1024, "max_procs", "0 to 1024", max_procs);
  need(scratch_mb >= -1 && scratch_mb <= 4096, "scratch_mb", "0 to 4096", scratch_mb);
  require_memory_mb("limits.scratch_mb", scratch_mb);
}

}  // namespace weft
