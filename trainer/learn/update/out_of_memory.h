/// Memory that could not be had in the middle of a step.
#pragma once

#include <functional>

#include "base/error.h"

namespace weft {

/// A device's or the host's memory ran out. One line.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// f(). What LibTorch and the standard library throw where memory runs out becomes OutOfMemory, in
/// one line.
void naming_out_of_memory(const std::function<void()>& f);

}  // namespace weft
