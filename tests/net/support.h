// A client that sends bytes as they are, and a server that it talks to.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/server.h"

namespace weft::test {

/// A connected TCP socket on loopback. Reading gives up after 5 s.
class RawClient {
 public:
  explicit RawClient(int port, int receive_buffer_bytes = 0);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  /// False when the server has closed.
  bool send(std::string_view bytes);

  /// Tells the server that nothing follows.
  void end_sending();

  /// What comes next, at most `most` bytes; empty at the end, or when nothing came in time.
  std::string read_some(size_t most = 65536);

  /// Until `text` has come; less where the connection ended before.
  std::string read_until(std::string_view text);

  /// Until the server closes.
  std::string read_all();

  /// Until one whole answer with a Content-Length has come; what follows is left for the next call.
  std::string read_answer();

  /// Whether the server closes within `seconds`; what it sends is dropped.
  bool is_closed_within(double seconds);

 private:
  int fd_;
  std::string kept_;
};

/// Status of an answer, -1 where it is none.
int status_of(std::string_view answer);

/// What follows its head.
std::string body_of(std::string_view answer);

/// Content of a body in the chunked coding; "(broken)" where it is not whole.
std::string dechunked(std::string_view body);

/// "GET PATH HTTP/1.1" with a Host.
std::string get(const std::string& path, const std::string& headers = "");

/// "POST PATH HTTP/1.1" with a Host and a Content-Length.
std::string post(const std::string& path, const std::string& body, const std::string& headers = "");

/// Routes that most tests talk to: GET /health "ok" on the loop, POST /echo and GET /echo/{id}
/// on workers.
net::Routes echo_routes();

/// Deadlines of a tenth of a second and two loops.
net::ServerOptions quick_options();

/// Started; stopped by its destructor.
std::unique_ptr<net::Server> start_server(net::Routes routes = echo_routes(), net::Hooks hooks = {},
                                          net::ServerOptions options = quick_options());

/// Of this process.
int num_threads();
int num_descriptors();

}  // namespace weft::test
