/// One thread of a server's event loop, and the connections that are its own.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include "net/connection.h"
#include "net/service.h"

namespace weft::net {

/// Any thread, unless it is said.
class Loop {
 public:
  /// Holds at most `max_connections` and calls `on_closed` after one has gone. Borrows `service`.
  /// Throws std::runtime_error where there are no descriptors or threads for it.
  Loop(Service& service, int max_connections, std::function<void()> on_closed);

  /// Every connection is closed by then.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Takes over a connected socket.
  void adopt(int fd, bool v6, Connection::Peer peer);

  /// Of connections, those that adopt() was just given included.
  int size() const { return size_; }
  int room() const { return max_connections_ - size_; }

  /// Closes the connection that has waited longest for a head, if one waits: there are no more
  /// descriptors.
  void relieve();

  /// Tells every connection to.
  void drain();
  void cancel();
  void close();

  boost::asio::io_context& context() { return context_; }

 private:
  void run();
  bool make_room();
  void add(int fd, bool v6, Connection::Peer peer);
  std::shared_ptr<Connection> make_connection(int fd, bool v6, Connection::Peer peer);
  void leave();
  void for_each(void (Connection::*call)());

  Service& service_;
  const int max_connections_;
  const std::function<void()> on_closed_;
  std::atomic<int> size_{0};
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  // Not used: with it Asio opens what it polls now and not with the first client, when there may be
  // no descriptor left.
  boost::asio::steady_timer reactor_;
  std::set<std::shared_ptr<Connection>> connections_;  // the loop's thread
  bool draining_ = false;                              // likewise
  std::thread thread_;
};

}  // namespace weft::net
