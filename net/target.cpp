#include "net/target.h"

#include <algorithm>

namespace weft::net {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// -1 where it is no hexadecimal digit.
int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_host_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

/// name[:port] or [IPv6 address][:port].
bool is_host(std::string_view text) {
  size_t end = 0;
  if (text.starts_with('[')) {
    end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    const auto inside = text.substr(1, end - 1);
    if (!std::all_of(inside.begin(), inside.end(),
                     [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; })) {
      return false;
    }
    ++end;
  } else {
    while (end < text.size() && is_host_char(text[end])) ++end;
    if (end == 0) return false;
  }
  const std::string_view port = text.substr(end);
  if (port.empty()) return true;
  return port[0] == ':' && port.size() <= 6 && std::all_of(port.begin() + 1, port.end(), is_digit);
}

/// The URL's host, and in `target` what follows it.
std::optional<std::string_view> take_authority(std::string_view& target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::string_view authority = target.substr(0, target.find_first_of("/?"));
    target.remove_prefix(authority.size());
    return authority;
  }
  return std::nullopt;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
      i += 2;
    }
    decoded += c;
  }
  return decoded;
}

}  // namespace

std::optional<Refusal> read_target(std::string_view target, const std::string* host,
                                   Request& request) {
  if (std::any_of(target.begin(), target.end(), [](char c) { return c <= ' ' || c > '~'; }) ||
      target.find('#') != std::string_view::npos) {
    return Refusal{400, "request target: expected printable ASCII without a fragment"};
  }
  if (host && !is_host(*host)) return Refusal{400, "Host: expected a name and perhaps a port"};
  if (target == "*" && request.method == "OPTIONS") {
    request.path = target;
    return std::nullopt;
  }
  if (const auto authority = take_authority(target)) {
    if (!host || !equal_ignoring_case(*authority, *host)) {
      return Refusal{400, "request target: names another host than the Host header"};
    }
  } else if (!target.starts_with('/')) {
    return Refusal{400, "request target: expected a path"};
  }
  const size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (request.path.empty()) request.path = "/";
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  if (!decoded_segments(request.path)) {
    return Refusal{400,
                   "request target: a percent sign that is no escape of a printable character"};
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> decoded_segments(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    const size_t size = std::min(path.find('/'), path.size());
    auto segment = percent_decoded(path.substr(0, size));
    if (!segment) return std::nullopt;
    segments.push_back(std::move(*segment));
    path.remove_prefix(size);
  }
  return segments;
}

}  // namespace weft::net
