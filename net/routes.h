/// The table of what a server answers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/exchange.h"
#include "net/message.h"

namespace weft::net {

/// Answers a request, at once or later from any thread that it hands the exchange to. What it
/// throws is logged and answered with 500.
using Handler = std::function<void(const std::shared_ptr<Exchange>&)>;

/// Which threads may be held up by a handler.
enum class HandlerThread {
  kLoop,    ///< the event loop's: every client waits while it runs, so it takes microseconds
  kWorker,  ///< one of the server's workers: it may compute and wait
};

struct Route {
  std::string method;  ///< upper case; GET answers HEAD too
  /// "/v1/models/{id}": a segment in braces is a parameter, which stands for one segment; with an
  /// asterisk, "{id*}", which only the last may have, for the rest of the path, which is not empty.
  std::string path;
  bool needs_key = true;  ///< for Hooks::admit and for descriptions of the table
  HandlerThread thread = HandlerThread::kWorker;
  Handler handler;
};

/// Filled before the server starts, unchanged after: then any thread may read it.
class Routes {
 public:
  struct Match {
    const Route* route = nullptr;  ///< null where none has this path and method
    std::vector<std::pair<std::string, std::string>> parameters;
    std::string allow;  ///< the path's methods, for Allow; empty where no route has the path
  };

  /// Throws std::invalid_argument for a path or method that is none, a missing handler, and a
  /// second route of the same method for the same paths.
  void add(Route route);

  /// In the order they were added.
  const std::vector<Route>& list() const { return routes_; }

  /// A text in a route's path goes before a parameter there, one segment before the rest of a path.
  /// `path` is as Request has it. Valid until the next add().
  Match find(std::string_view method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace weft::net
