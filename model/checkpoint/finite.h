/// Whether a tensor's values are numbers.
#pragma once

#include <ATen/core/Tensor.h>

namespace weft {

/// True where no value is NaN or infinite; of any dtype, an empty tensor too. One pass, no copy of
/// the size of the tensor.
bool all_finite(const at::Tensor& tensor);

}  // namespace weft
