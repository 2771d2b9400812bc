/// What bounds a server.
#pragma once

#include <cstdint>
#include <string>

namespace weft::net {

constexpr int kMaxHeaders = 100;
constexpr int64_t kMaxHeadBytes = 64 * 1024;  ///< request line and header fields

/// A connection holds at most a head, a body of max_body_bytes and twice max_stream_bytes, and what
/// the kernel buffers for its socket.
struct ServerOptions {
  std::string host = "127.0.0.1";  ///< name or address to listen on
  int port = 0;                    ///< 0: a free one
  std::string certificate_file;    ///< PEM, a chain from the server's own; empty: no TLS
  std::string key_file;            ///< PEM, of the certificate
  int num_loops = 2;               ///< threads that read and write
  int num_workers = 16;            ///< threads of handlers that compute or wait
  int max_waiting = 1024;          ///< requests that wait for a worker; more get 503
  /// One more closes the connection that has waited longest for a request's head, or is answered
  /// with 503 where none waits. A file descriptor each; where there are no more, likewise the ones
  /// that have waited longest make room.
  int max_connections = 2048;
  int64_t max_body_bytes = 4 << 20;    ///< of a request, decoded; more gets 413
  int64_t max_stream_bytes = 1 << 20;  ///< of a stream, waiting for the client to read
  double head_timeout_s = 10;   ///< for a whole head, from its first byte (TLS: from connecting)
  double body_timeout_s = 60;   ///< for a whole body, from its head
  double write_timeout_s = 30;  ///< in which a client takes something of what waits for it
  double keep_alive_s = 75;     ///< between requests; proxies in front should give up earlier
  double heartbeat_s = 15;      ///< between comments in an event stream that is silent

  /// Throws InputError naming the field.
  void validate() const;
};

}  // namespace weft::net
