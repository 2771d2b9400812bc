#include <fmt/format.h>

#include "base/check.h"
#include "base/error.h"
#include "base/machine.h"
#include "serve/server.h"

namespace weft {

void HttpOptions::validate() const {
  if (port < 0 || port > 65535) {
    throw InputError(fmt::format("port: expected 0 to 65535, got {}", port));
  }
  require_concurrent("max_requests", max_requests);
  require_at_least("max_choices", max_choices, 1);
  require_room("max_choices", max_choices, kRecordBytes);
  require_at_least("max_body_kb", max_body_kb, 1);
  require_room("max_body_kb", max_body_kb, 1024);
  require_at_least("default_max_tokens", default_max_tokens, 0);
  require_room("default_max_tokens", default_max_tokens, kTokenBytes);
  require_at_least("drain_s", drain_s, 0);
}

void HttpOptions::check_start(StartCheck& check) const {
  check.port("port", host, port);
  check.environment("api_key_env", api_key_env);
}

}  // namespace weft
