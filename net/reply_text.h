/// Answers as bytes.
#pragma once

#include <string>
#include <string_view>

#include "net/message.h"

namespace weft::net {

/// How an answer's end is told.
struct Framing {
  bool streams = false;    ///< in chunks; in HTTP/1.0 to the connection's end
  int version = 11;        ///< of the request: 10 or 11
  bool head_only = false;  ///< answers HEAD: the body's length without the body
  bool close = false;      ///< the connection ends with it
};

/// A stream for which the server writes comments while nothing else is to be sent.
bool is_event_stream(const Response& head);

/// Status line, header fields and, of a whole answer, the body. Of a stream the body is left out.
std::string reply_text(const Response& response, const Framing& framing);

/// A piece of a stream in the transfer coding, which is none in HTTP/1.0. Empty for an empty piece.
std::string chunk_text(std::string_view piece, const Framing& framing);

/// What ends a stream.
std::string_view last_chunk(const Framing& framing);

}  // namespace weft::net
