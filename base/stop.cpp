#include "base/stop.h"

#include <signal.h>

#include <atomic>

#include "base/error.h"

namespace weft {
namespace {

std::atomic<int> g_stop_signal{0};

void on_signal(int number) { g_stop_signal.store(number); }

}  // namespace

void install_stop_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int stop_signal() { return g_stop_signal.load(); }

void throw_if_stopped() {
  if (const int number = stop_signal()) throw Interrupted(number);
}

}  // namespace weft
