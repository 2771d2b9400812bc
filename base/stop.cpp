#include "base/stop.h"

#include <signal.h>

#include <atomic>

#include "base/error.h"

namespace weft {
namespace {

std::atomic<int> g_stop_signal{0};

void on_signal(int number) {
  int none = 0;
  if (g_stop_signal.compare_exchange_strong(none, number)) return;
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

void throw_if_stopped() {
  if (const int number = stop_signal()) throw Interrupted(number);
}

}  // namespace weft
