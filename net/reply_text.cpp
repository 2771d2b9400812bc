#include "net/reply_text.h"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>
#include <ctime>

namespace weft::net {

namespace {

/// As in the Date header: Sun, 06 Nov 1994 08:49:37 GMT.
std::string date_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[40];
  const size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return {text, size};
}

/// Empty for a status that has no name.
std::string_view reason_of(int status) {
  namespace http = boost::beast::http;
  const http::status known = http::int_to_status(static_cast<unsigned>(status));
  if (known == http::status::unknown) return {};
  const auto reason = http::obsolete_reason(known);
  return {reason.data(), reason.size()};
}

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

bool in_chunks(const Framing& framing) { return framing.streams && framing.version >= 11; }

}  // namespace

bool is_event_stream(const Response& head) {
  return head.content_type.starts_with("text/event-stream");
}

std::string reply_text(const Response& response, const Framing& framing) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                                 reason_of(response.status), date_text());
  if (!response.content_type.empty()) {
    text += fmt::format("Content-Type: {}\r\n", response.content_type);
  }
  if (framing.streams && is_event_stream(response)) {
    text += "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n";
  }
  for (const auto& [name, value] : response.headers.fields()) {
    text += fmt::format("{}: {}\r\n", name, value);
  }
  if (in_chunks(framing)) {
    text += "Transfer-Encoding: chunked\r\n";
  } else if (!framing.streams && may_have_body(response.status)) {
    text += fmt::format("Content-Length: {}\r\n", response.body.size());
  }
  if (framing.close) text += "Connection: close\r\n";
  text += "\r\n";
  if (!framing.streams && !framing.head_only && may_have_body(response.status)) {
    text += response.body;
  }
  return text;
}

std::string chunk_text(std::string_view piece, const Framing& framing) {
  if (piece.empty() || framing.head_only) return {};
  if (!in_chunks(framing)) return std::string(piece);
  return fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
}

std::string_view last_chunk(const Framing& framing) {
  return in_chunks(framing) && !framing.head_only ? "0\r\n\r\n" : "";
}

}  // namespace weft::net
