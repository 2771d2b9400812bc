/// An OpenAI-like server on loopback that misbehaves as told.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/remote/remote_options.h"

namespace weft::test {

struct Reply {
  int status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  int delay_ms = 0;
  bool cut = false;    ///< promises more bytes than it sends, then closes the connection
  int trickle_ms = 0;  ///< pause before each byte of the body; 0: it comes whole
};

/// The answer that a sound server gives: `n` choices of this text, 10 prompt and 5 n completion
/// tokens.
Reply completion_reply(const Json& request, const std::string& text = "ok");

class FaultyServer {
 public:
  /// `answer` gets the number of the request (from 0), its path, its body and the Authorization
  /// header; it is called on the server's threads.
  using Answer = std::function<Reply(int number, const std::string& path, const Json& body,
                                     const std::string& authorization)>;
  explicit FaultyServer(Answer answer);
  ~FaultyServer();
  FaultyServer(const FaultyServer&) = delete;
  FaultyServer& operator=(const FaultyServer&) = delete;

  std::string base_url() const;
  int num_requests() const;
  int num_connections() const;  ///< that requests have come over
  int max_in_flight() const;    ///< most requests ever answered at the same time

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Of a model "m" at this server: 3 retries, the first after 10 ms at the most, calls of at most 10
/// s. Asks for no proxy on loopback.
RemoteModelOptions options_for(const FaultyServer& server);

}  // namespace weft::test
