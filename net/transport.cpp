#include "net/transport.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <utility>

#include "base/error.h"

namespace weft::net {

namespace asio = boost::asio;
using asio::ip::tcp;

struct TlsIdentity::Context {
  asio::ssl::context ssl{asio::ssl::context::tls_server};
};

namespace {

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(tcp::socket socket) : socket_(std::move(socket)) {}

  void open(std::function<void(const ErrorCode&)> done) override {
    asio::post(socket_.get_executor(), [done = std::move(done)] { done(ErrorCode()); });
  }
  void read_some(char* data, size_t size, Done done) override {
    socket_.async_read_some(asio::buffer(data, size), std::move(done));
  }
  void write_some(const char* data, size_t size, Done done) override {
    socket_.async_write_some(asio::buffer(data, size), std::move(done));
  }
  void end_sending(std::function<void()> done) override {
    ErrorCode ignored;  // the peer may have gone
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    asio::post(socket_.get_executor(), std::move(done));
  }
  void close() override {
    ErrorCode ignored;
    socket_.close(ignored);
  }

 private:
  tcp::socket socket_;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(tcp::socket socket, asio::ssl::context& context)
      : stream_(std::move(socket), context) {}

  void open(std::function<void(const ErrorCode&)> done) override {
    stream_.async_handshake(asio::ssl::stream_base::server, std::move(done));
  }
  void read_some(char* data, size_t size, Done done) override {
    stream_.async_read_some(asio::buffer(data, size), std::move(done));
  }
  void write_some(const char* data, size_t size, Done done) override {
    stream_.async_write_some(asio::buffer(data, size), std::move(done));
  }
  void end_sending(std::function<void()> done) override {
    stream_.async_shutdown([done = std::move(done)](const ErrorCode&) { done(); });
  }
  void close() override {
    ErrorCode ignored;
    stream_.lowest_layer().close(ignored);
  }

 private:
  asio::ssl::stream<tcp::socket> stream_;
};

[[noreturn]] void refuse_file(const char* what, const std::string& file,
                              const Transport::ErrorCode& error) {
  throw InputError(
      fmt::format("{}: expected a usable PEM file, got {}: {}", what, file, error.message()));
}

}  // namespace

TlsIdentity::TlsIdentity(const std::string& certificate_file, const std::string& key_file)
    : context_(std::make_unique<Context>()) {
  auto& ssl = context_->ssl;
  ssl.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                  asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                  asio::ssl::context::no_tlsv1_1);
  SSL_CTX_set_options(ssl.native_handle(), SSL_OP_NO_RENEGOTIATION);
  Transport::ErrorCode error;
  ssl.use_certificate_chain_file(certificate_file, error);
  if (error) refuse_file("certificate_file", certificate_file, error);
  ssl.use_private_key_file(key_file, asio::ssl::context::pem, error);
  if (error) refuse_file("key_file", key_file, error);
}

TlsIdentity::~TlsIdentity() = default;

std::unique_ptr<Transport> make_transport(asio::io_context& loop, int fd, bool v6,
                                          TlsIdentity* tls) {
  Transport::ErrorCode error;
  tcp::socket socket(loop);
  socket.assign(v6 ? tcp::v6() : tcp::v4(), fd, error);
  if (error) {
    ::close(fd);
    return nullptr;
  }
  socket.set_option(tcp::no_delay(true), error);  // a peer that has gone is found by reading
  if (!tls) return std::make_unique<PlainTransport>(std::move(socket));
  return std::make_unique<TlsTransport>(std::move(socket), tls->context_->ssl);
}

}  // namespace weft::net
