#include "tests/net/support.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace weft::test {

namespace {

void set_read_timeout(int fd, double seconds) {
  timeval time{};
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_usec = static_cast<suseconds_t>((seconds - static_cast<double>(time.tv_sec)) * 1e6);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
}

int count_entries(const char* folder) {
  const auto entries = std::filesystem::directory_iterator(folder);
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

}  // namespace

RawClient::RawClient(int port, int receive_buffer_bytes) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  if (receive_buffer_bytes > 0) {
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  set_read_timeout(fd_, 5);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd_);
    throw std::runtime_error("cannot connect");
  }
}

RawClient::~RawClient() {
  if (fd_ >= 0) close(fd_);
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), kept_(std::move(other.kept_)) {}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void RawClient::end_sending() { shutdown(fd_, SHUT_WR); }

std::string RawClient::read_some(size_t most) {
  if (!kept_.empty()) return std::exchange(kept_, {});
  std::string text(most, '\0');
  const ssize_t size = recv(fd_, text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return text;
}

std::string RawClient::read_until(std::string_view wanted) {
  std::string text;
  while (text.find(wanted) == std::string::npos) {
    const std::string piece = read_some();
    if (piece.empty()) break;
    text += piece;
  }
  const size_t found = text.find(wanted);
  if (found != std::string::npos) {
    kept_ = text.substr(found + wanted.size());
    text.resize(found + wanted.size());
  }
  return text;
}

std::string RawClient::read_all() {
  std::string text;
  for (std::string piece = read_some(); !piece.empty(); piece = read_some()) text += piece;
  return text;
}

std::string RawClient::read_answer() {
  std::string answer = read_until("\r\n\r\n");
  const size_t field = answer.find("Content-Length: ");
  const size_t length =
      field == std::string::npos ? 0 : std::strtoul(answer.c_str() + field + 16, nullptr, 10);
  std::string body;
  while (body.size() < length) {
    const std::string piece = read_some();
    if (piece.empty()) break;
    body += piece;
  }
  if (body.size() > length) {
    kept_ = body.substr(length);
    body.resize(length);
  }
  return answer + body;
}

bool RawClient::is_closed_within(double seconds) {
  set_read_timeout(fd_, seconds);
  char bytes[4096];
  ssize_t size = 0;
  while ((size = recv(fd_, bytes, sizeof bytes, 0)) > 0) {
  }
  const bool closed = size == 0 || errno == ECONNRESET;
  set_read_timeout(fd_, 5);
  return closed;
}

int status_of(std::string_view answer) {
  if (!answer.starts_with("HTTP/1.1 ") || answer.size() < 12) return -1;
  return std::atoi(std::string(answer.substr(9, 3)).c_str());
}

std::string body_of(std::string_view answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == std::string_view::npos ? "" : std::string(answer.substr(end + 4));
}

std::string dechunked(std::string_view body) {
  std::string text;
  for (;;) {
    const size_t line = body.find("\r\n");
    if (line == std::string_view::npos) return "(broken)";
    const size_t size = std::strtoul(std::string(body.substr(0, line)).c_str(), nullptr, 16);
    body.remove_prefix(line + 2);
    if (body.size() < size + 2 || body.substr(size, 2) != "\r\n") return "(broken)";
    if (size == 0) return text;
    text += body.substr(0, size);
    body.remove_prefix(size + 2);
  }
}

std::string get(const std::string& path, const std::string& headers) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", path, headers);
}

std::string post(const std::string& path, const std::string& body, const std::string& headers) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{}\r\n{}", path,
                     body.size(), headers, body);
}

net::Routes echo_routes() {
  using net::HandlerThread;
  net::Routes routes;
  routes.add({"GET", "/health", false, HandlerThread::kLoop, [](const auto& exchange) {
                exchange->respond({200, "text/plain", "ok", {}});
              }});
  routes.add({"POST", "/echo", true, HandlerThread::kWorker, [](const auto& exchange) {
                exchange->respond({200, "text/plain", exchange->request().body, {}});
              }});
  routes.add(
      {"GET", "/echo/{id}", true, HandlerThread::kLoop, [](const auto& exchange) {
         const net::Request& request = exchange->request();
         exchange->respond({200, "text/plain", request.parameter("id") + "?" + request.query, {}});
       }});
  return routes;
}

net::ServerOptions quick_options() {
  net::ServerOptions options;
  options.num_workers = 4;
  options.max_body_bytes = 1000;
  options.head_timeout_s = options.body_timeout_s = 0.2;
  return options;
}

std::unique_ptr<net::Server> start_server(net::Routes routes, net::Hooks hooks,
                                          net::ServerOptions options) {
  auto server =
      std::make_unique<net::Server>(std::move(routes), std::move(hooks), std::move(options));
  server->start();
  return server;
}

int num_threads() { return count_entries("/proc/self/task"); }
int num_descriptors() { return count_entries("/proc/self/fd") - 1; }  // but the folder's

}  // namespace weft::test
