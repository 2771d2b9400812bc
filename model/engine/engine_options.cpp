#include "model/engine/engine_options.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/machine.h"

namespace weft {

void EngineOptions::validate() const {
  const auto check = [](bool ok, const char* key, const std::string& expected) {
    if (!ok) throw InputError(std::string(key) + ": expected " + expected);
  };
  check(max_batch >= 0, "max_batch", "at least 0, got " + std::to_string(max_batch));
  check(prefill_tokens >= 1, "prefill_tokens", "at least 1, got " + std::to_string(prefill_tokens));
  check(mixed_tokens >= 0, "mixed_tokens", "at least 0, got " + std::to_string(mixed_tokens));
  check(max_context >= 0, "max_context", "at least 0, got " + std::to_string(max_context));
  require_room("max_batch", max_batch, kSequenceBytes);
  require_room("prefill_tokens", prefill_tokens, kTokenBytes);
  require_room("mixed_tokens", mixed_tokens, kTokenBytes);
  require_room("max_context", max_context, kTokenBytes);
  check(kv_mb >= 0, "kv_mb", "at least 0, got " + std::to_string(kv_mb));
  check(prefix_fraction >= 0 && prefix_fraction <= 1, "prefix_fraction",
        "a number in [0, 1], got " + std::to_string(prefix_fraction));
  check(kv_fraction >= 0 && kv_fraction <= 0.95, "kv_fraction",
        "a number in [0, 0.95], got " + std::to_string(kv_fraction));
}

EngineOptions EngineOptions::for_device(bool is_gpu, int64_t available, int64_t token_bytes) const {
  constexpr int64_t kCpuBatch = 64, kMostGpuBatch = 256, kTokensPerSequence = 1024;
  if (kv_mb > available >> 20) {
    throw InputError("kv_mb: expected at most " + std::to_string(available >> 20) +
                     ", what is left of the device's memory in MiB, got " + std::to_string(kv_mb));
  }
  EngineOptions options = *this;
  if (kv_fraction == 0) options.kv_fraction = is_gpu ? 0.9 : 0.2;
  if (max_batch > 0) return options;
  const int64_t held = options.kv_bytes(available) / token_bytes / kTokensPerSequence;
  options.max_batch = is_gpu ? std::clamp<int64_t>(held, 1, kMostGpuBatch) : kCpuBatch;
  return options;
}

int64_t EngineOptions::kv_bytes(int64_t available) const {
  if (kv_mb > 0) return kv_mb << 20;
  return static_cast<int64_t>(kv_fraction * static_cast<double>(available));
}

}  // namespace weft
