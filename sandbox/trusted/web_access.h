/// HTTP for a user's tools, which have no network of their own: to the hosts that the user names.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weft {

/// Thread-safe.
class WebAccess {
 public:
  /// `hosts` as "api.example.org" (its usual ports) or "localhost:8080". Throws InputError naming
  /// tools.hosts where one is neither, Error where libcurl.so.4 cannot be opened.
  explicit WebAccess(const std::vector<std::string>& hosts);

  struct Request {
    std::string url;
    std::optional<std::string> data;             ///< sent by POST; without, it is a GET
    std::map<std::string, std::string> headers;  ///< by name
  };
  struct Reply {
    bool ok = false;
    std::string text;  ///< the body, valid UTF-8; else what went wrong, in one line
  };
  /// Blocks until the answer is there, `timeout_ms` are over or `cancelled` is set (null: never). A
  /// GET follows redirects to named hosts. Not ok: another host, any status but 2xx, a body of more
  /// than kMostBodyBytes, what libcurl reports.
  Reply fetch(const Request& request, int64_t timeout_ms,
              const std::atomic<bool>* cancelled = nullptr) const;

  static constexpr size_t kMostBodyBytes = size_t{4} << 20;

 private:
  std::string refusal(const std::string& url) const;

  struct Host {
    std::string name;  ///< in lower case
    std::string port;  ///< empty: the usual one of the URL's scheme
  };
  std::vector<Host> hosts_;
};

}  // namespace weft
