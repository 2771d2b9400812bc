#include "net/options.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/error.h"
#include "base/machine.h"

namespace weft::net {

void ServerOptions::validate() const {
  if (port < 0 || port > 65535) {
    throw InputError(fmt::format("port: expected 0 to 65535, got {}", port));
  }
  if (certificate_file.empty() != key_file.empty()) {
    throw InputError("certificate_file, key_file: expected both or none");
  }
  require_at_least("num_loops", num_loops, 1);
  require_threads("num_loops", num_loops);
  require_concurrent("num_workers", num_workers);
  require_at_least("max_waiting", max_waiting, 1);
  require_room("max_waiting", max_waiting, kRecordBytes);
  require_at_least("max_connections", max_connections, num_loops);
  require_room("max_connections", max_connections, kMaxHeadBytes);
  require_at_least("max_body_bytes", max_body_bytes, 0);
  require_room("max_body_bytes", max_body_bytes, 1);
  require_at_least("max_stream_bytes", max_stream_bytes, 1);
  require_room("max_stream_bytes", max_stream_bytes, 1);
  require_above("head_timeout_s", head_timeout_s, 0);
  require_above("body_timeout_s", body_timeout_s, 0);
  require_above("write_timeout_s", write_timeout_s, 0);
  require_above("keep_alive_s", keep_alive_s, 0);
  require_above("heartbeat_s", heartbeat_s, 0);
}

}  // namespace weft::net
