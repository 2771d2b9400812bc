/// What a server's connections share.
#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <memory>

#include "net/exchange.h"
#include "net/server.h"
#include "net/transport.h"

namespace weft::net {

/// Any thread; the fields do not change while connections live.
struct Service {
  Service(Routes table, Hooks embedding, ServerOptions bounds);

  /// By the hook, or plain text.
  Response error(int status, const std::string& message) const;
  Response error(const Refusal& refusal) const { return error(refusal.status, refusal.message); }

  /// Calls the route's handler on its kind of thread, or answers with 503 where too many wait.
  void run(const Route& route, std::shared_ptr<Exchange> exchange);

  const Routes routes;
  const Hooks hooks;
  const ServerOptions options;
  const std::unique_ptr<TlsIdentity> tls;  // null: none
  boost::asio::thread_pool workers;

 private:
  void call(const Route& route, const std::shared_ptr<Exchange>& exchange) const;

  std::atomic<int> num_waiting_{0};
};

}  // namespace weft::net
