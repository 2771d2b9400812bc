#include "net/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "net/options.h"
#include "net/target.h"

namespace weft::net {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

namespace {

constexpr size_t kMaxExtensionBytes = 16 * 1024;  // of a body's chunks together

std::string text_of(string_view text) { return {text.data(), text.size()}; }

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool has_control(string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

}  // namespace

class RequestParser::Parser final : public http::basic_parser<true> {
 public:
  explicit Parser(int64_t max_body_bytes) : max_body_bytes_(static_cast<size_t>(max_body_bytes)) {
    header_limit(static_cast<uint32_t>(kMaxHeadBytes));
    body_limit(boost::none);  // counted here, where it is decoded
  }

  /// Null while only the body is read.
  Request* request = nullptr;
  int version = 11;
  std::string target;
  std::string body;
  std::optional<Refusal> refusal;  ///< goes before the parser's own error

 private:
  void refuse(int status, std::string message, error_code& ec) {
    refusal = Refusal{status, std::move(message)};
    ec = http::error::bad_value;
  }

  void on_request_impl(http::verb, string_view method, string_view request_target,
                       int request_version, error_code&) override {
    request->method = text_of(method);
    target = text_of(request_target);
    request->version = version = request_version;
  }

  void on_field_impl(http::field, string_view name, string_view value, error_code&) override {
    if (request) request->headers.add(text_of(name), text_of(value));
  }

  void on_chunk_header_impl(uint64_t size, string_view extension, error_code& ec) override {
    extension_bytes_ += extension.size();
    if (has_control(extension) || extension_bytes_ > kMaxExtensionBytes) {
      return refuse(
          400, "request body: chunk extensions that are too long or hold a control character", ec);
    }
    if (size > max_body_bytes_ - body.size()) refuse_size(ec);
  }

  size_t take(string_view bytes, error_code& ec) {
    if (bytes.size() > max_body_bytes_ - body.size()) {
      refuse_size(ec);
      return 0;
    }
    body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  void refuse_size(error_code& ec) {
    refuse(413, fmt::format("request body: expected at most {} bytes", max_body_bytes_), ec);
  }

  size_t on_body_impl(string_view bytes, error_code& ec) override { return take(bytes, ec); }
  size_t on_chunk_body_impl(uint64_t, string_view bytes, error_code& ec) override {
    return take(bytes, ec);
  }

  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  void on_finish_impl(error_code&) override {}
  void on_response_impl(int, string_view, int, error_code&) override {}

  size_t max_body_bytes_;
  size_t extension_bytes_ = 0;
};

namespace {

Refusal refusal_of(const std::optional<Refusal>& own, const error_code& ec, const char* where) {
  if (own) return *own;
  const int status = ec == http::error::bad_version ? 505 : 400;
  return {status, fmt::format("{}: {}", where, ec.message())};
}

int count(const Headers& headers, std::string_view name) {
  return static_cast<int>(
      std::count_if(headers.fields().begin(), headers.fields().end(),
                    [&](const auto& field) { return equal_ignoring_case(field.first, name); }));
}

/// What two programs could read as different lengths of the body.
std::optional<Refusal> check_framing(const Request& request) {
  const Headers& headers = request.headers;
  const std::string* length = headers.find("Content-Length");
  const std::string* coding = headers.find("Transfer-Encoding");
  if (count(headers, "Content-Length") > 1 || (length && !is_digits(*length))) {
    return Refusal{400, "Content-Length: expected one, of digits"};
  }
  if (length && coding)
    return Refusal{400, "Content-Length: expected none beside Transfer-Encoding"};
  if (coding && (count(headers, "Transfer-Encoding") > 1 ||
                 !equal_ignoring_case(*coding, "chunked") || request.version < 11)) {
    return Refusal{400, "Transfer-Encoding: expected chunked, in HTTP/1.1"};
  }
  const int hosts = count(headers, "Host");
  if (hosts > 1 || (hosts == 0 && request.version >= 11)) {
    return Refusal{400, "Host: expected one"};
  }
  return std::nullopt;
}

}  // namespace

RequestParser::RequestParser(int64_t max_body_bytes)
    : parser_(std::make_unique<Parser>(max_body_bytes)), max_body_bytes_(max_body_bytes) {}
RequestParser::~RequestParser() = default;

std::optional<Refusal> RequestParser::read_head(std::string_view head, Request& request) {
  error_code ec;
  parser_->request = &request;
  parser_->put(boost::asio::buffer(head.data(), head.size()), ec);
  parser_->request = nullptr;
  // First by the fields as they stand: Beast's own words for these are less clear.
  if (!request.method.empty() && parser_->is_header_done()) {
    if (auto refusal = check_framing(request)) return refusal;
  }
  if (ec) return refusal_of(parser_->refusal, ec, "request head");
  if (!parser_->is_header_done()) return Refusal{400, "request head: not whole"};
  const bool bodiless =
      request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
  if (bodiless && has_body()) {
    return Refusal{400, fmt::format("request body: {} takes none", request.method)};
  }
  return read_target(parser_->target, request.headers.find("Host"), request);
}

bool RequestParser::has_body() const { return !parser_->is_done(); }

std::optional<Refusal> RequestParser::refuse_body(const Request& request) const {
  const std::string* encoding = request.headers.find("Content-Encoding");
  if (encoding && !equal_ignoring_case(*encoding, "identity")) {
    return Refusal{415, fmt::format("Content-Encoding: expected none, got {}", *encoding)};
  }
  const std::string* expected = request.headers.find("Expect");
  if (expected && !equal_ignoring_case(*expected, "100-continue")) {
    return Refusal{417, fmt::format("Expect: expected 100-continue, got {}", *expected)};
  }
  const auto length = parser_->content_length();
  if (length && *length > static_cast<uint64_t>(max_body_bytes_)) {
    return Refusal{413, fmt::format("request body: expected at most {} bytes, got {}",
                                    max_body_bytes_, *length)};
  }
  return std::nullopt;
}

bool RequestParser::awaits_continue(const Request& request) const {
  return request.version >= 11 && request.headers.find("Expect") != nullptr;
}

bool RequestParser::keeps_alive() const { return parser_->keep_alive() && parser_->version >= 11; }

RequestParser::Read RequestParser::read_body(std::string_view bytes) {
  Read read;
  while (!parser_->is_done() && read.used < bytes.size()) {
    error_code ec;
    const size_t used =
        parser_->put(boost::asio::buffer(bytes.data() + read.used, bytes.size() - read.used), ec);
    read.used += used;
    if (ec == http::error::need_more) break;
    if (ec) {
      read.refusal = refusal_of(parser_->refusal, ec, "request body");
      break;
    }
  }
  return read;
}

bool RequestParser::body_is_whole() const { return parser_->is_done(); }

std::string RequestParser::take_body() { return std::move(parser_->body); }

}  // namespace weft::net
