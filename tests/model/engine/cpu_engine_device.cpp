#include "tests/model/engine/engine_support.h"

namespace weft::test {

ComputeDevice engine_device() { return {}; }

}  // namespace weft::test
