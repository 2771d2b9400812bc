#include "model/remote/transfer.h"

#include "base/error.h"

namespace weft {
namespace {

constexpr size_t kMaxAnswerBytes = size_t{256} << 20;

}  // namespace

Transfer::Transfer(CURLM* multi, const TransferRequest& request, void* owner)
    : multi_(multi), easy_(curl_easy_init()), request_body_(request.body) {
  if (!easy_) throw Error("libcurl: no handle left");
  headers_ = curl_slist_append(headers_, "Content-Type: application/json");
  headers_ = curl_slist_append(headers_, "Expect:");
  if (!request.api_key.empty()) {
    headers_ = curl_slist_append(headers_, ("Authorization: Bearer " + request.api_key).c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_body_.c_str());
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(request_body_.size()));
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Transfer::write);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy_, CURLOPT_PRIVATE, owner);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(request.connect_timeout_s * 1000));
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_ACCEPT_ENCODING, "");  // all that libcurl can undo
  curl_multi_add_handle(multi_, easy_);
}

Transfer::~Transfer() {
  curl_multi_remove_handle(multi_, easy_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
}

TransferResult Transfer::finish(CURLcode code) {
  TransferResult result;
  result.code = code;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &result.http_status);
  curl_off_t retry_after = 0;
  curl_easy_getinfo(easy_, CURLINFO_RETRY_AFTER, &retry_after);
  if (retry_after > 0) result.retry_after_s = static_cast<double>(retry_after);
  if (code != CURLE_OK) result.error = error_[0] ? error_ : curl_easy_strerror(code);
  char* redirect = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &redirect);
  if (redirect) result.redirect_url = redirect;
  result.body = std::move(answer_);
  return result;
}

std::chrono::steady_clock::time_point Transfer::silent_since() {
  curl_off_t sent = 0, received = 0;
  long headers = 0;
  curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &sent);
  curl_easy_getinfo(easy_, CURLINFO_SIZE_DOWNLOAD_T, &received);
  curl_easy_getinfo(easy_, CURLINFO_HEADER_SIZE, &headers);
  const int64_t bytes = sent + received + headers;
  if (bytes != bytes_) silent_since_ = std::chrono::steady_clock::now();
  bytes_ = bytes;
  return silent_since_;
}

void* Transfer::owner_of(CURL* easy) {
  char* owner = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
  return owner;
}

size_t Transfer::write(char* data, size_t size, size_t count, void* self) {
  std::string& answer = static_cast<Transfer*>(self)->answer_;
  if (answer.size() + size * count > kMaxAnswerBytes) return 0;
  answer.append(data, size * count);
  return size * count;
}

}  // namespace weft
