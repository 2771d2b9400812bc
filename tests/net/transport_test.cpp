// The same server behind TLS, with a certificate that the test makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <atomic>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "tests/net/support.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using test::body_of;
using test::get;
using test::status_of;
using ::testing::HasSubstr;

template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* object) const { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;

/// Writes a certificate for localhost, signed by its own key, and the key.
void write_identity(const fs::path& certificate_file, const fs::path& key_file) {
  const Key key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509, Freed<X509, X509_free>> certificate(X509_new());
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  FILE* file = fopen(certificate_file.c_str(), "w");
  PEM_write_X509(file, certificate.get());
  fclose(file);
  file = fopen(key_file.c_str(), "w");
  PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  fclose(file);
}

/// A client that trusts one certificate.
class TlsClient {
 public:
  TlsClient(int port, const fs::path& certificate_file, int most_version = TLS1_3_VERSION)
      : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_load_verify_file(context_.get(), certificate_file.c_str());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_min_proto_version(context_.get(), 0);
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_max_proto_version(context_.get(), most_version);
    const std::string address = "127.0.0.1:" + std::to_string(port);
    BIO* bio = BIO_new_connect(address.c_str());
    BIO_do_connect(bio);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set1_host(ssl_.get(), "localhost");
    connected_ = SSL_connect(ssl_.get()) == 1;
  }

  bool connected() const { return connected_; }
  void send(const std::string& bytes) {
    SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
  }

  std::string read_until(const std::string& wanted) {
    std::string text;
    char bytes[4096];
    while (text.find(wanted) == std::string::npos) {
      const int size = SSL_read(ssl_.get(), bytes, sizeof bytes);
      if (size <= 0) break;
      text.append(bytes, static_cast<size_t>(size));
    }
    return text;
  }

  /// Whether the server said that nothing follows, before it closed.
  bool was_told_the_end() { return read_until("\n").empty() && SSL_get_shutdown(ssl_.get()) != 0; }

 private:
  std::unique_ptr<SSL_CTX, Freed<SSL_CTX, SSL_CTX_free>> context_;
  std::unique_ptr<SSL, Freed<SSL, SSL_free>> ssl_;
  bool connected_ = false;
};

class Tls : public ::testing::Test {
 protected:
  void SetUp() override {
    write_identity(dir_ / "certificate.pem", dir_ / "key.pem");
    options_.certificate_file = dir_ / "certificate.pem";
    options_.key_file = dir_ / "key.pem";
  }

  test::TempDir dir_;
  net::ServerOptions options_ = test::quick_options();
};

TEST_F(Tls, AnswersKeepsTheConnectionAndSaysWhenItEnds) {
  const auto server = test::start_server(test::echo_routes(), {}, options_);
  TlsClient client(server->port(), dir_ / "certificate.pem");
  ASSERT_TRUE(client.connected());
  client.send(test::post("/echo", std::string(900, 'a') + "end"));
  EXPECT_EQ(body_of(client.read_until("end")), std::string(900, 'a') + "end");
  client.send(get("/echo/1", "Connection: close\r\n"));
  EXPECT_THAT(client.read_until("1?"), HasSubstr("Connection: close"));
  EXPECT_TRUE(client.was_told_the_end());
}

TEST_F(Tls, StreamsFromOtherThreadsAndNoticesThatAClientLeaves) {
  net::Routes routes;
  std::atomic<int> cancelled{0};
  std::shared_ptr<net::Exchange> exchange;
  routes.add({"GET", "/take", true, net::HandlerThread::kWorker, [&](const auto& taken) {
                taken->on_cancel([&] { ++cancelled; });
                taken->begin({200, "text/event-stream", "", {}});
                for (int i = 0; i < 100; ++i) taken->write("data: 1\n\n");
                taken->write("data: 2\n\n");
                exchange = taken;
              }});
  const auto server = test::start_server(std::move(routes), {}, options_);
  {
    TlsClient client(server->port(), dir_ / "certificate.pem");
    client.send(get("/take"));
    EXPECT_THAT(client.read_until("data: 2\n\n"), HasSubstr("data: 1\n\n"));
    EXPECT_EQ(cancelled, 0);
  }
  EXPECT_TRUE(test::wait_until([&] { return cancelled == 1; }));
}

TEST_F(Tls, OldVersionsAndPlainTextAreRefused) {
  const auto server = test::start_server(test::echo_routes(), {}, options_);
  EXPECT_TRUE(TlsClient(server->port(), dir_ / "certificate.pem", TLS1_2_VERSION).connected());
  EXPECT_FALSE(TlsClient(server->port(), dir_ / "certificate.pem", TLS1_1_VERSION).connected());
  test::RawClient plain(server->port());
  plain.send(get("/health"));
  EXPECT_EQ(status_of(plain.read_all()), -1);
}

TEST_F(Tls, AHandshakeHasItsTime) {
  const auto server = test::start_server(test::echo_routes(), {}, options_);
  test::RawClient silent(server->port());
  EXPECT_TRUE(silent.is_closed_within(5));
}

TEST_F(Tls, FilesThatCannotBeUsedAreRefusedByName) {
  const auto refused = [&] {
    try {
      net::Server server(test::echo_routes(), {}, options_);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  options_.key_file = dir_ / "absent.pem";
  EXPECT_THAT(refused(), HasSubstr("key_file: expected a usable PEM file, got " +
                                   (dir_ / "absent.pem").string()));
  write_identity(dir_ / "other.pem", dir_ / "other_key.pem");
  options_.key_file = dir_ / "other_key.pem";
  EXPECT_THAT(refused(), HasSubstr("key_file"));
  write_file_atomically(dir_ / "certificate.pem", "nonsense");
  EXPECT_THAT(refused(), HasSubstr("certificate_file"));
}

}  // namespace
}  // namespace weft
