#include "tests/model/engine/engine_support.h"
#include "tests/support/emulated_gpu.h"

namespace weft::test {

ComputeDevice engine_device() { return {&emulated_gpu(), 0}; }

}  // namespace weft::test
