/// What clients send and what they get, free of any library's types.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::net {

/// ASCII letters of any case are equal, as in names of headers.
bool equal_ignoring_case(std::string_view a, std::string_view b);

/// Header fields in their order; names are compared without regard to case. Not synchronised.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;  ///< name, value

  /// Throws std::invalid_argument when `name` is no token or `value` holds a control character.
  void add(std::string name, std::string value);

  /// add() in place of every field of that name.
  void set(std::string name, std::string value);

  /// The first field's value, null where there is none; valid until the next change.
  const std::string* find(std::string_view name) const;

  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

/// A request whose syntax has been checked.
struct Request {
  std::string method;  ///< as sent: GET, POST, ...
  std::string path;    ///< as sent, percent signs included, without the query; "*" of OPTIONS *
  std::string query;   ///< as sent, without its question mark
  int version = 11;    ///< 10 or 11: of HTTP, times ten
  Headers headers;
  std::string body;   ///< without its transfer coding; empty until admitted
  std::string route;  ///< path of the route in the table; empty where none was found
  /// Values of the route's parameters in their order, percent-decoded.
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string caller;          ///< who sends it; for Hooks::admit to set and others to read
  std::string remote_address;  ///< of the socket's peer: 127.0.0.1, ::1
  int remote_port = 0;

  /// A parameter of the route, which has it. Throws std::invalid_argument otherwise.
  const std::string& parameter(std::string_view name) const;
};

/// A whole answer, or the head of a stream. The server itself writes Content-Length,
/// Transfer-Encoding, Connection and Date.
struct Response {
  int status = 200;
  std::string content_type;  ///< empty: none is sent
  std::string body;
  Headers headers;
};

/// Of a request that is answered without its handler.
struct Refusal {
  int status = 400;
  std::string message;  ///< for the client
};

}  // namespace weft::net
