#include "net/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/error.h"
#include "net/loop.h"
#include "net/service.h"

namespace weft::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kCancelGrace = std::chrono::milliseconds(500);
constexpr auto kAcceptPause = std::chrono::milliseconds(10);
constexpr int kAcceptsAtATime = 64;  // between what else its loop has to do

Connection::Peer peer_of(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return {text, ntohs(v4.sin_port)};
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return {text, ntohs(v6.sin6_port)};
}

/// Loops share the bound of connections out among them.
int share_of(int total, int parts, int index) {
  return total / parts + (index < total % parts ? 1 : 0);
}

}  // namespace

struct Server::Impl {
  Impl(Routes routes, Hooks hooks, ServerOptions options)
      : service(std::move(routes), std::move(hooks), std::move(options)) {}

  void make_loops();
  void listen();
  void listen_at(const tcp::endpoint& endpoint);
  void await_client();
  void accept_clients();
  void stop_listening();
  bool wait_until_empty(double seconds);
  int num_connections() const;

  Service service;
  std::vector<std::unique_ptr<Loop>> loops;  // fixed from start() to stop()
  // Of the first loop's thread, once started.
  std::unique_ptr<tcp::acceptor> acceptor;
  std::unique_ptr<asio::steady_timer> accept_pause;
  int port = 0;
  bool started = false;

  mutable std::mutex mutex;  // of what follows, and of `loops` against num_connections()
  std::condition_variable closed;
};

Server::Server(Routes routes, Hooks hooks, ServerOptions options) {
  options.validate();
  impl_ = std::make_unique<Impl>(std::move(routes), std::move(hooks), std::move(options));
}

Server::~Server() { stop(0); }

int Server::port() const { return impl_->port; }

const Routes& Server::routes() const { return impl_->service.routes; }

int Server::num_connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->num_connections();
}

int Server::Impl::num_connections() const {
  int count = 0;
  for (const auto& loop : loops) count += loop->size();
  return count;
}

void Server::Impl::listen_at(const tcp::endpoint& endpoint) {
  acceptor = std::make_unique<tcp::acceptor>(loops.front()->context());
  acceptor->open(endpoint.protocol());
  fcntl(acceptor->native_handle(), F_SETFD, FD_CLOEXEC);
  acceptor->set_option(tcp::acceptor::reuse_address(true));
  acceptor->bind(endpoint);
  acceptor->listen();
  acceptor->non_blocking(true);
  port = acceptor->local_endpoint().port();
}

/// At the first of the host's addresses where that is possible.
void Server::Impl::listen() {
  auto& context = loops.front()->context();
  const auto& options = service.options;
  boost::system::error_code failure;
  const auto addresses = tcp::resolver(context).resolve(options.host, std::to_string(options.port),
                                                        tcp::resolver::passive, failure);
  for (const auto& address : addresses) {
    try {
      listen_at(address.endpoint());
      accept_pause = std::make_unique<asio::steady_timer>(context);
      return;
    } catch (const boost::system::system_error& error) {
      failure = error.code();
    }
  }
  acceptor.reset();
  throw Error(
      fmt::format("cannot listen on {}:{}: {}", options.host, options.port, failure.message()));
}

void Server::Impl::make_loops() {
  const auto& options = service.options;
  for (int i = 0; i < options.num_loops; ++i) {
    auto loop = std::make_unique<Loop>(
        service, share_of(options.max_connections, options.num_loops, i), [this] {
          const std::lock_guard lock(mutex);
          closed.notify_all();
        });
    const std::lock_guard lock(mutex);
    loops.push_back(std::move(loop));
  }
}

void Server::start() {
  WEFT_ASSERT(!std::exchange(impl_->started, true));
  try {
    impl_->make_loops();
  } catch (const std::runtime_error& error) {  // std's of threads, Boost's of descriptors
    throw Error(fmt::format("cannot start an event loop: {}", error.what()));
  }
  impl_->listen();
  impl_->await_client();
}

void Server::Impl::await_client() {
  acceptor->async_wait(tcp::acceptor::wait_read, [this](const boost::system::error_code& error) {
    if (!error && acceptor) accept_clients();
  });
}

void Server::Impl::accept_clients() {
  for (int i = 0; i < kAcceptsAtATime; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int fd = accept4(acceptor->native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      const auto roomiest =
          std::max_element(loops.begin(), loops.end(),
                           [](const auto& a, const auto& b) { return a->room() < b->room(); });
      (*roomiest)->adopt(fd, address.ss_family == AF_INET6, peer_of(address));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      break;
    } else if (errno != ECONNABORTED && errno != EINTR) {  // no descriptors, no memory
      for (const auto& loop : loops) loop->relieve();
      accept_pause->expires_after(kAcceptPause);
      return accept_pause->async_wait([this](const boost::system::error_code& error) {
        if (!error && acceptor) await_client();
      });
    }
  }
  await_client();
}

bool Server::Impl::wait_until_empty(double seconds) {
  std::unique_lock lock(mutex);
  return closed.wait_for(lock, std::chrono::duration<double>(seconds),
                         [this] { return num_connections() == 0; });
}

void Server::Impl::stop_listening() {
  if (!acceptor) return;
  const auto done = std::make_shared<std::promise<void>>();
  asio::post(loops.front()->context(), [this, done] {
    acceptor.reset();
    accept_pause.reset();
    done->set_value();
  });
  done->get_future().wait();
}

bool Server::stop(double drain_s) {
  if (impl_->loops.empty()) return true;
  impl_->stop_listening();
  for (const auto& loop : impl_->loops) loop->drain();
  const bool drained = impl_->wait_until_empty(drain_s);
  if (!drained) {
    for (const auto& loop : impl_->loops) loop->cancel();
    impl_->wait_until_empty(std::chrono::duration<double>(kCancelGrace).count());
    for (const auto& loop : impl_->loops) loop->close();
    while (!impl_->wait_until_empty(1)) {
    }
  }
  impl_->service.workers.join();
  std::vector<std::unique_ptr<Loop>> ended;  // a loop's last word may take the lock
  {
    const std::lock_guard lock(impl_->mutex);
    ended.swap(impl_->loops);
  }
  return drained;
}

}  // namespace weft::net
