/// Checks of config fields, for their structs' validate().
#pragma once

#include <type_traits>

#include "base/json.h"

namespace weft {

namespace detail {
[[noreturn]] void throw_out_of_range(const char* name, const char* expected, const Json& bound,
                                     const Json& got);
}  // namespace detail

/// Throws InputError "NAME: expected at least LEAST, got VALUE" unless value >= least.
template <class T>
void require_at_least(const char* name, T value, std::type_identity_t<T> least) {
  if (!(value >= least)) detail::throw_out_of_range(name, "at least", least, value);
}

/// Throws InputError "NAME: expected more than BOUND, got VALUE" unless value > bound.
template <class T>
void require_above(const char* name, T value, std::type_identity_t<T> bound) {
  if (!(value > bound)) detail::throw_out_of_range(name, "more than", bound, value);
}

/// Throws InputError "NAME: expected a number from 0 to 1, got VALUE" otherwise.
void require_share(const char* name, double value);

}  // namespace weft
