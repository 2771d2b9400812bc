#include "net/loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/log.h"
#include "net/reply_text.h"

namespace weft::net {

Loop::Loop(Service& service, int max_connections, std::function<void()> on_closed)
    : service_(service),
      max_connections_(max_connections),
      on_closed_(std::move(on_closed)),
      work_(context_.get_executor()),
      reactor_(context_),
      thread_([this] { run(); }) {}

Loop::~Loop() {
  work_.reset();
  context_.stop();
  thread_.join();
}

void Loop::run() {
  while (!context_.stopped()) {
    try {
      context_.run();
    } catch (const std::exception& error) {  // of one connection, which its deadline ends
      log::error("event loop: {}", error.what());
    }
  }
}

void Loop::adopt(int fd, bool v6, Connection::Peer peer) {
  ++size_;
  boost::asio::post(
      context_, [this, fd, v6, peer = std::move(peer)]() mutable { add(fd, v6, std::move(peer)); });
}

/// Closes the connection that has waited longest for a head; false where none waits.
bool Loop::make_room() {
  const Connection* oldest = nullptr;
  std::shared_ptr<Connection> found;
  for (const auto& connection : connections_) {
    if (!connection->awaits_head()) continue;
    if (oldest && oldest->awaits_since() <= connection->awaits_since()) continue;
    found = connection;
    oldest = found.get();
  }
  if (found) found->close();
  return found != nullptr;
}

void Loop::add(int fd, bool v6, Connection::Peer peer) {
  std::shared_ptr<Connection> connection;
  try {
    connection = make_connection(fd, v6, std::move(peer));
  } catch (const std::exception& error) {
    log::error("event loop: {}", error.what());
  }
  if (!connection) return leave();
  connections_.insert(connection);
  connection->start();
}

/// Null where the client is turned away.
std::shared_ptr<Connection> Loop::make_connection(int fd, bool v6, Connection::Peer peer) {
  const bool full = connections_.size() >= static_cast<size_t>(max_connections_);
  if (draining_ || (full && !make_room())) {
    if (!draining_ && !service_.tls) {
      const std::string text =
          reply_text(service_.error(503, "too many connections"), Framing{.close = true});
      // As much as the socket takes: nobody waits for a client that has no place.
      [[maybe_unused]] const auto sent =
          ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    ::close(fd);
    return nullptr;
  }
  auto transport = make_transport(context_, fd, v6, service_.tls.get());
  if (!transport) return nullptr;
  return std::make_shared<Connection>(context_, service_, std::move(transport), std::move(peer),
                                      [this](const std::shared_ptr<Connection>& closed) {
                                        connections_.erase(closed);
                                        leave();
                                      });
}

void Loop::leave() {
  --size_;
  on_closed_();
}

void Loop::relieve() {
  boost::asio::post(context_, [this] { make_room(); });
}

void Loop::for_each(void (Connection::*call)()) {
  boost::asio::post(context_, [this, call] {
    const auto connections = connections_;  // a call may remove one
    for (const auto& connection : connections) (connection.get()->*call)();
  });
}

void Loop::drain() {
  boost::asio::post(context_, [this] { draining_ = true; });
  for_each(&Connection::drain);
}

void Loop::cancel() { for_each(&Connection::cancel); }

void Loop::close() { for_each(&Connection::close); }

}  // namespace weft::net
