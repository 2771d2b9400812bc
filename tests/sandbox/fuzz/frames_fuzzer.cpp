#include "tests/sandbox/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  weft::fuzz::read_frames(data, size);
  return 0;
}
