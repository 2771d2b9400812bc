/// A connected socket of an event loop, with or without TLS.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace weft::net {

/// The thread of its event loop alone. At most one read and one write are under way at a time; what
/// is given as `done` is called later by the loop, and always.
class Transport {
 public:
  using ErrorCode = boost::system::error_code;
  using Done = std::function<void(const ErrorCode&, size_t bytes)>;

  virtual ~Transport() = default;

  /// What goes before the first byte: of TLS its handshake, else nothing.
  virtual void open(std::function<void(const ErrorCode&)> done) = 0;

  /// At least one byte, or an error; the end of what the peer sends is one.
  virtual void read_some(char* data, size_t size, Done done) = 0;
  virtual void write_some(const char* data, size_t size, Done done) = 0;

  /// Tells the peer that nothing follows. Not during a write.
  virtual void end_sending(std::function<void()> done) = 0;

  /// Ends what is under way with an error. Idempotent.
  virtual void close() = 0;
};

/// Certificate and key of a server; any thread.
class TlsIdentity {
 public:
  /// PEM files. Throws InputError naming the one that cannot be used. TLS 1.2 and 1.3 are spoken.
  TlsIdentity(const std::string& certificate_file, const std::string& key_file);
  ~TlsIdentity();
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;

 private:
  friend std::unique_ptr<Transport> make_transport(boost::asio::io_context&, int, bool,
                                                   TlsIdentity*);
  struct Context;
  std::unique_ptr<Context> context_;
};

/// Takes over a connected TCP socket. `tls` is borrowed for the transport's life; null: no TLS.
/// Null when the socket is already unusable; it is closed then.
std::unique_ptr<Transport> make_transport(boost::asio::io_context& loop, int fd, bool v6,
                                          TlsIdentity* tls);

}  // namespace weft::net
