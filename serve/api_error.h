/// Errors as OpenAI's clients expect them.
#pragma once

#include <stdexcept>
#include <string>

#include "base/json.h"

namespace weft {

/// A request that is answered with an HTTP error.
class ApiError : public std::runtime_error {
 public:
  ApiError(int status, const std::string& message, std::string param = "", std::string code = "")
      : std::runtime_error(message),
        status_(status),
        param_(std::move(param)),
        code_(std::move(code)) {}
  int status() const { return status_; }

  /// {"error":{"message","type","param","code"}}; `param` and `code` are null where empty.
  Json body() const;

 private:
  int status_;
  std::string param_, code_;
};

}  // namespace weft
