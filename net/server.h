/// An HTTP/1.1 server (RFC 9110, 9112) on an event loop of few threads.
///
/// What clients may do is in net/request_parser.h (syntax), net/options.h (limits and deadlines)
/// and the table of routes. Requests of a connection are answered in their order, one at a time.
/// Range is not known, so it is ignored; 100-continue is. What is refused before its body was read
/// closes the connection; nothing of the body is kept then.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/message.h"
#include "net/options.h"
#include "net/routes.h"

namespace weft::net {

/// How a request ended.
struct Ended {
  int status = 0;      ///< sent; 0: nothing was
  int64_t bytes = 0;   ///< sent, with heads
  double seconds = 0;  ///< since its head was whole
  bool cut = false;    ///< the connection ended before the answer did
};

/// What the embedding has its say in; each may be empty. Called on the event loop's threads,
/// several at a time: they take microseconds and do not throw.
struct Hooks {
  /// Decides on a request's head before anything of its body is read; an answer refuses it. Checks
  /// keys and hosts, answers a browser's preflight, names the caller. `route` is null where the
  /// table has none for it.
  std::function<std::optional<Response>(Request& head, const Route* route)> admit;

  /// The answer where the server itself refuses (400, 404, 405, 408, 413, 414, 415, 417, 431, 503,
  /// 505) or a handler fails (500). Empty: the message as plain text. The server sets its status
  /// and adds Allow, Accept-Encoding and Retry-After.
  std::function<Response(int status, const std::string& message)> error;

  /// Before a head goes out: counts it, adds headers that every answer has. Fields of a request
  /// that could not be read are empty. Who is turned away for want of room passes no hook but
  /// `error`.
  std::function<void(const Request& request, Response& response)> on_response;

  /// After the last byte, or when the connection broke: for logs.
  std::function<void(const Request& request, const Ended& ended)> on_end;
};

/// Any thread may call its methods, start() and stop() one at a time.
class Server {
 public:
  /// Throws InputError for options that are out of range and for TLS files that cannot be used.
  Server(Routes routes, Hooks hooks, ServerOptions options);

  /// stop(0).
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens, on threads of its own; once. Throws Error when it cannot: name unknown, port in use,
  /// no more descriptors.
  void start();

  /// The port that it listens on.
  int port() const;

  const Routes& routes() const;

  /// Connections that are open.
  int num_connections() const;

  /// Stops listening and closes connections without a request; the others end with the answer that
  /// is under way, and a head that has begun to come gets a second more. After `drain_s` what is
  /// left is cancelled, gets half a second to write its end, and is closed. Waits for handlers on
  /// workers, so they return when cancelled. True when nothing was cut off. No thread and no file
  /// descriptor remains; exchanges may.
  bool stop(double drain_s);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::net
