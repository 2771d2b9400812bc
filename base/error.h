/// The three kinds of error (docs/architecture.md): a caller's or an input's mistake is an
/// InputError, failed work an Error, a broken invariant a std::logic_error from WEFT_ASSERT.
/// Expected outcomes are values, never exceptions.
#pragma once

#include <stdexcept>
#include <string>

namespace weft {

/// The work could not be done: disk full, a peer that stays away, a diverged run. Programs exit 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Usage, configuration or an input file is wrong. The message is one line: what, where, expected,
/// got. Programs exit 2.
class InputError : public Error {
 public:
  using Error::Error;
};

/// Thrown by throw_if_stopped() after SIGINT or SIGTERM. Programs exit 128 + signal.
class Interrupted : public Error {
 public:
  explicit Interrupted(int signal);
  int signal() const { return signal_; }

 private:
  int signal_;
};

/// "what: strerror(errno)".
std::string with_errno(const std::string& what);

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace weft

/// Always on; throws std::logic_error naming the expression and the place.
#define WEFT_ASSERT(expression) \
  ((expression) ? void(0) : ::weft::assertion_failed(#expression, __FILE__, __LINE__))
