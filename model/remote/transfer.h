/// One HTTP POST on libcurl's multi interface.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

/// How a transfer ended.
struct TransferResult {
  CURLcode code = CURLE_OK;
  long http_status = 0;
  std::string body;
  std::string error;          ///< one line; empty when `code` is CURLE_OK
  double retry_after_s = -1;  ///< Retry-After of the answer; -1 without one
  std::string redirect_url;   ///< absolute; of a 3xx answer, else empty
};

struct TransferRequest {
  std::string url;
  std::string body;     ///< JSON
  std::string api_key;  ///< sent as a bearer token; empty: none
  double connect_timeout_s = 30;
};

/// Lives from start to end of a transfer; its destructor breaks it off. Used by the thread that
/// drives the multi handle, which must outlive it.
class Transfer {
 public:
  /// Throws Error when libcurl cannot set it up. `owner` comes back from owner_of().
  Transfer(CURLM* multi, const TransferRequest& request, void* owner);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// After libcurl reported the end of the easy handle with `code`.
  TransferResult finish(CURLcode code);

  /// Since when no byte has been sent or received, the start of the transfer at first.
  std::chrono::steady_clock::time_point silent_since();

  static void* owner_of(CURL* easy);

 private:
  static size_t write(char* data, size_t size, size_t count, void* self);

  CURLM* multi_;
  CURL* easy_;
  curl_slist* headers_ = nullptr;
  std::string request_body_;
  std::string answer_;
  int64_t bytes_ = 0;  ///< sent and received so far
  std::chrono::steady_clock::time_point silent_since_ = std::chrono::steady_clock::now();
  char error_[CURL_ERROR_SIZE] = {};
};

}  // namespace weft
