#include "base/stop.h"

#include <signal.h>

#include "base/error.h"

namespace weft {
namespace {

std::atomic<int> g_stop_signal{0};
std::atomic<bool> g_stop_flag{false};

void on_signal(int number) {
  int none = 0;
  if (g_stop_signal.compare_exchange_strong(none, number)) {
    g_stop_flag = true;
    return;
  }
  signal(number, SIG_DFL);
  raise(number);
}

}  // namespace

void install_stop_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int stop_signal() { return g_stop_signal.load(); }

std::shared_ptr<const std::atomic<bool>> stop_flag() {
  return {std::shared_ptr<void>(), &g_stop_flag};
}

void throw_if_stopped() {
  if (const int number = stop_signal()) throw Interrupted(number);
}

}  // namespace weft
