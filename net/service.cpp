#include "net/service.h"

#include <boost/asio/post.hpp>
#include <stdexcept>
#include <utility>

#include "base/log.h"

namespace weft::net {

Service::Service(Routes table, Hooks embedding, ServerOptions bounds)
    : routes(std::move(table)),
      hooks(std::move(embedding)),
      options(std::move(bounds)),
      tls(options.certificate_file.empty()
              ? nullptr
              : std::make_unique<TlsIdentity>(options.certificate_file, options.key_file)),
      workers(static_cast<size_t>(options.num_workers)) {}

Response Service::error(int status, const std::string& message) const {
  Response response;
  if (hooks.error) {
    response = hooks.error(status, message);
  } else {
    response.content_type = "text/plain; charset=utf-8";
    response.body = message + "\n";
  }
  response.status = status;
  if (status == 415) response.headers.set("Accept-Encoding", "identity");
  if (status == 503) response.headers.set("Retry-After", "1");
  return response;
}

void Service::call(const Route& route, const std::shared_ptr<Exchange>& exchange) const {
  std::string reason;
  try {
    return route.handler(exchange);
  } catch (const std::exception& failure) {
    reason = failure.what();
  }
  log::error("{} {}: {}", route.method, route.path, reason);
}

void Service::run(const Route& route, std::shared_ptr<Exchange> exchange) {
  if (route.thread == HandlerThread::kLoop) return call(route, exchange);
  if (num_waiting_.fetch_add(1) >= options.max_waiting) {
    --num_waiting_;
    return exchange->respond(error(503, "too many requests wait; try again later"));
  }
  boost::asio::post(workers, [this, &route, exchange = std::move(exchange)]() mutable {
    --num_waiting_;
    if (!exchange->cancelled()) call(route, exchange);
    exchange.reset();
  });
}

}  // namespace weft::net
