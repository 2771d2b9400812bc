#include "tests/support/emulated_gpu.h"
#include "tests/support/fake_device/fake_gpu.h"
#include "tests/support/gpu_under_test.h"

namespace weft::test {

GpuUnderTest gpu_under_test() {
  return {{&emulated_gpu(), 0}, "", [] { return fake::FakeGpu::get().num_replays(); }};
}

}  // namespace weft::test
