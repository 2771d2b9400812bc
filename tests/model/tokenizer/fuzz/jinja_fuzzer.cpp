#include <cstddef>
#include <cstdint>

#include "tests/model/tokenizer/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::fuzz::render_template({reinterpret_cast<const char*>(data), size});
  return 0;
}
