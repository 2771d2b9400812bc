/// What a refused input is told.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"

namespace weft::test {

/// The message of the InputError that `body` throws; "no error" where it throws none.
inline std::string input_error(const std::function<void()>& body) {
  try {
    body();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace weft::test
