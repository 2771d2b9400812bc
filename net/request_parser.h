/// The syntax of one request: Boost.Beast's parser, and what is refused beyond it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/message.h"

namespace weft::net {

/// For one request; one thread.
class RequestParser {
 public:
  /// Bodies of more than `max_body_bytes`, decoded, are refused.
  explicit RequestParser(int64_t max_body_bytes);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Takes a head that HeadScanner found whole; the request has all but its body then. Refused with
  /// 400 (505 for other versions than HTTP/1.0 and 1.1): what Beast's parser refuses, more than one
  /// Content-Length, one that is not digits alone, one beside Transfer-Encoding, other codings than
  /// one "chunked" in HTTP/1.1, a body of GET, HEAD or OPTIONS, two Hosts and in HTTP/1.1 none, and
  /// what read_target refuses.
  std::optional<Refusal> read_head(std::string_view head, Request& request);

  /// Whether a body follows, which may have no bytes.
  bool has_body() const;

  /// Why a body that follows is not read, from the head alone: 413 for its Content-Length, 415 for
  /// another Content-Encoding than identity, 417 for another Expect than 100-continue.
  std::optional<Refusal> refuse_body(const Request& request) const;

  /// Whether the client waits for "100 Continue" before it sends the body.
  bool awaits_continue(const Request& request) const;

  /// Whether the connection may be used for another request.
  bool keeps_alive() const;

  struct Read {
    size_t used = 0;  ///< bytes taken; the rest is to be given again, with what follows it
    std::optional<Refusal> refusal;
  };

  /// Takes what came of the body; it is whole when body_is_whole() says so, and what follows it is
  /// not touched. Trailers are dropped.
  Read read_body(std::string_view bytes);

  bool body_is_whole() const;

  /// The body, once whole.
  std::string take_body();

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
  int64_t max_body_bytes_;
};

}  // namespace weft::net
