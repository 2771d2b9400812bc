#include "model/engine/engine_options.h"

#include <string>

#include "base/error.h"

namespace weft {

void EngineOptions::validate() const {
  const auto check = [](bool ok, const char* key, const std::string& expected) {
    if (!ok) throw InputError(std::string(key) + ": expected " + expected);
  };
  check(max_batch >= 1, "max_batch", "at least 1, got " + std::to_string(max_batch));
  check(prefill_tokens >= 1, "prefill_tokens", "at least 1, got " + std::to_string(prefill_tokens));
  check(mixed_tokens >= 0, "mixed_tokens", "at least 0, got " + std::to_string(mixed_tokens));
  check(max_context >= 0, "max_context", "at least 0, got " + std::to_string(max_context));
  check(kv_mb >= 0, "kv_mb", "at least 0, got " + std::to_string(kv_mb));
  check(prefix_fraction >= 0 && prefix_fraction <= 1, "prefix_fraction",
        "a number in [0, 1], got " + std::to_string(prefix_fraction));
  check(kv_fraction > 0 && kv_fraction <= 0.95, "kv_fraction",
        "a number in (0, 0.95], got " + std::to_string(kv_fraction));
}

}  // namespace weft
