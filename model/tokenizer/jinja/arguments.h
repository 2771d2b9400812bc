/// How calls of the language's own functions bind their arguments, as Python does.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

/// The arguments of one call in the order of its parameters.
class Bound {
 public:
  /// `parameters` in order, the first `required` of them without a default; one that begins with
  /// '/' cannot be named. Throws InputError, naming `of`, for missing, unknown and doubled ones.
  Bound(std::string_view of, const Arguments& arguments,
        std::initializer_list<std::string_view> parameters, size_t required = 0);

  bool has(size_t index) const { return given_[index]; }
  const Value& operator[](size_t index) const { return values_[index]; }
  Value get(size_t index, Value fallback) const {
    return given_[index] ? values_[index] : std::move(fallback);
  }
  bool truthy(size_t index) const { return given_[index] && values_[index].truthy(); }

 private:
  Items values_;
  std::vector<bool> given_;
};

}  // namespace weft::jinja
