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
  require_above("keep_alive_s", keep_alive_s, 0);
  if (certificate_file.empty() != key_file.empty()) {
    throw InputError("certificate_file, key_file: expected both or none");
  }
}

void HttpOptions::check_start(StartCheck& check) const {
  check.port("port", host, port);
  check.environment("api_key_env", api_key_env);
  if (!certificate_file.empty()) check.file("certificate_file", certificate_file);
  if (!key_file.empty()) check.file("key_file", key_file);
}

}  // namespace weft
