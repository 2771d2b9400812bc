#include "base/error.h"
#include "tests/support/gpu_under_test.h"

namespace weft::test {

GpuUnderTest gpu_under_test() {
  try {
    return {resolve_device("cuda"), "", nullptr};
  } catch (const InputError& error) {
    return {{}, error.what(), nullptr};
  }
}

}  // namespace weft::test
