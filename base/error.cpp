#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace weft {

Interrupted::Interrupted(int signal)
    : Error("stopped by signal " + std::to_string(signal)), signal_(signal) {}

std::string with_errno(const std::string& what) { return what + ": " + std::strerror(errno); }

void assertion_failed(const char* expression, const char* file, int line) {
  throw std::logic_error(std::string("assertion failed: ") + expression + " at " + file + ":" +
                         std::to_string(line));
}

}  // namespace weft
