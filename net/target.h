/// The target of a request line, and the host that it is meant for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/message.h"

namespace weft::net {

/// Sets the request's path and query from a request line's target: "/path?query", a whole URL of
/// the host that `host` names, or "*" of OPTIONS. `host` is the Host header's value, null where
/// HTTP/1.0 left it out. Refused with 400: any other target, one that holds what is not printable
/// ASCII, a fragment, a host or port that is none.
///
/// Source: RFC 9112 sections 3.2 and 3.3. Deviation: a URL of another host than Host's is refused
/// instead of preferred, and a Host that is empty is refused.
std::optional<Refusal> read_target(std::string_view target, const std::string* host,
                                   Request& request);

/// A path's segments, percent-decoded after they were told apart, so that %2F is part of one.
/// Nothing when an escape is broken or stands for a control character. `path` begins with a slash;
/// "/" has one segment, which is empty.
std::optional<std::vector<std::string>> decoded_segments(std::string_view path);

}  // namespace weft::net
