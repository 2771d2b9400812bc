#include "sandbox/trusted/web_access.h"

#include <curl/curl.h>
#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <memory>

#include "base/error.h"
#include "base/utf8.h"

namespace weft {
namespace {

constexpr int kMostRedirects = 5;
constexpr size_t kMostShownBytes = 200;  // of the body of a status that is no success

using Clock = std::chrono::steady_clock;

/// libcurl, opened where a run names hosts: linked, it and the thirty libraries behind it would go
/// wherever the sandbox goes.
struct Curl {
  Curl() {
    if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw Error("libcurl cannot be set up");
  }

  void* library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  decltype(&curl_global_init) global_init = symbol("curl_global_init");
  decltype(&curl_free) free = symbol("curl_free");
  decltype(&curl_easy_init) easy_init = symbol("curl_easy_init");
  decltype(&curl_easy_cleanup) easy_cleanup = symbol("curl_easy_cleanup");
  decltype(&curl_easy_setopt) easy_setopt = symbol("curl_easy_setopt");
  decltype(&curl_easy_perform) easy_perform = symbol("curl_easy_perform");
  decltype(&curl_easy_getinfo) easy_getinfo = symbol("curl_easy_getinfo");
  decltype(&curl_easy_strerror) easy_strerror = symbol("curl_easy_strerror");
  decltype(&curl_slist_append) slist_append = symbol("curl_slist_append");
  decltype(&curl_slist_free_all) slist_free_all = symbol("curl_slist_free_all");
  decltype(&curl_url) url = symbol("curl_url");
  decltype(&curl_url_cleanup) url_cleanup = symbol("curl_url_cleanup");
  decltype(&curl_url_get) url_get = symbol("curl_url_get");
  decltype(&curl_url_set) url_set = symbol("curl_url_set");

 private:
  struct Symbol {
    void* at;
    template <class F>
    operator F*() const {
      return reinterpret_cast<F*>(at);
    }
  };
  Symbol symbol(const char* name) const {
    void* at = library ? dlsym(library, name) : nullptr;
    if (!at) throw Error(std::string("tools.hosts: libcurl.so.4 cannot be opened: ") + dlerror());
    return {at};
  }
};

const Curl& curl() {
  static const Curl opened;
  return opened;
}

struct Freed {
  void operator()(CURL* easy) const { curl().easy_cleanup(easy); }
  void operator()(CURLU* url) const { curl().url_cleanup(url); }
  void operator()(curl_slist* list) const { curl().slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, Freed>;
using Url = std::unique_ptr<CURLU, Freed>;
using Headers = std::unique_ptr<curl_slist, Freed>;

/// A part of a URL; empty where it has none.
std::string part_of(const Url& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl().url_get(url.get(), part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl().free(text);
  return copy;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string host_of(const Url& url) { return lower(part_of(url, CURLUPART_HOST)); }

/// Null where the text is no URL.
Url parse_url(const std::string& text) {
  Url url(curl().url());
  if (!url || curl().url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return nullptr;
  return url;
}

struct Transfer {
  std::string body;
  bool too_long = false;
  const std::atomic<bool>* cancelled = nullptr;
};

size_t take_body(char* data, size_t size, size_t count, void* to) {
  auto& transfer = *static_cast<Transfer*>(to);
  transfer.too_long = transfer.body.size() + size * count > WebAccess::kMostBodyBytes;
  if (transfer.too_long) return 0;
  transfer.body.append(data, size * count);
  return size * count;
}

int must_stop(void* of, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto* cancelled = static_cast<Transfer*>(of)->cancelled;
  return cancelled && cancelled->load();
}

/// What a line of the head must not hold: it would be two.
bool has_line_break(const std::string& text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos;
}

Headers header_list(const WebAccess::Request& request) {
  curl_slist* list = nullptr;
  for (const auto& [name, value] : request.headers) {
    list = curl().slist_append(list, (name + ": " + value).c_str());
  }
  return Headers(list);
}

std::string shown(std::string body) {
  std::replace_if(
      body.begin(), body.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return utf8_prefix(to_valid_utf8(body), kMostShownBytes);
}

}  // namespace

WebAccess::WebAccess(const std::vector<std::string>& hosts) {
  for (const std::string& text : hosts) {
    const Url url = parse_url("https://" + text);
    // Nothing but a host and a port, as they are written in a URL.
    Host host{url ? host_of(url) : "", url ? part_of(url, CURLUPART_PORT) : ""};
    if (host.name.empty() ||
        lower(text) != host.name + (host.port.empty() ? "" : ":" + host.port)) {
      throw InputError(
          "tools.hosts: expected hosts as \"api.example.org\" or \"localhost:8080\", "
          "got \"" +
          text + "\"");
    }
    hosts_.push_back(std::move(host));
  }
}

/// Why the URL is none to be asked; empty where it is.
std::string WebAccess::refusal(const std::string& text) const {
  const Url url = parse_url(text);
  const std::string scheme = url ? part_of(url, CURLUPART_SCHEME) : "";
  if (scheme != "http" && scheme != "https") return "expected an http or https URL";
  const std::string name = host_of(url), port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const bool is_usual = port == (scheme == "http" ? "80" : "443");
  for (const Host& host : hosts_) {
    if (host.name == name && (host.port.empty() ? is_usual : host.port == port)) return "";
  }
  return "tools.hosts does not name " + name + (is_usual ? "" : ":" + port);
}

WebAccess::Reply WebAccess::fetch(const Request& request, int64_t timeout_ms,
                                  const std::atomic<bool>* cancelled) const {
  const Easy easy(curl().easy_init());
  if (!easy) throw Error("libcurl: no handle left");
  for (const auto& [name, value] : request.headers) {
    if (has_line_break(name) || has_line_break(value)) return {false, "a header of two lines"};
  }
  const Headers headers = header_list(request);
  const auto end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  char error[CURL_ERROR_SIZE] = {};
  Transfer transfer{"", false, cancelled};
  const auto set = [&](CURLoption option, auto value) {
    curl().easy_setopt(easy.get(), option, value);
  };
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_ACCEPT_ENCODING, "");
  set(CURLOPT_ERRORBUFFER, error);
  set(CURLOPT_WRITEFUNCTION, &take_body);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &must_stop);
  set(CURLOPT_XFERINFODATA, &transfer);
  if (request.data) {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.data->size()));
    set(CURLOPT_POSTFIELDS, request.data->c_str());
  }
  std::string url = request.url;
  for (int hop = 0; hop <= kMostRedirects; ++hop) {
    if (std::string refused = refusal(url); !refused.empty()) return {false, std::move(refused)};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return {false, "timeout"};
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
    transfer.body.clear();
    const CURLcode code = curl().easy_perform(easy.get());
    if (transfer.too_long) {
      return {false, "a body of more than " + std::to_string(kMostBodyBytes) + " bytes"};
    }
    if (code != CURLE_OK) return {false, error[0] ? error : curl().easy_strerror(code)};
    long status = 0;
    curl().easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 2) return {true, to_valid_utf8(transfer.body)};
    char* next = nullptr;
    curl().easy_getinfo(easy.get(), CURLINFO_REDIRECT_URL, &next);
    if (status / 100 != 3 || !next || request.data) {
      return {false, "HTTP " + std::to_string(status) + " " + shown(transfer.body)};
    }
    url = next;
  }
  return {false, "more than " + std::to_string(kMostRedirects) + " redirects"};
}

}  // namespace weft
