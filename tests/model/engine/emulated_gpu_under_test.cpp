#include "tests/model/engine/gpu_under_test.h"
#include "tests/support/emulated_gpu.h"

namespace weft::test {

GpuUnderTest gpu_under_test() { return {{&emulated_gpu(), 0}, ""}; }

}  // namespace weft::test
