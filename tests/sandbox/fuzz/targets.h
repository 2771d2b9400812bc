/// What libFuzzer drives, and what the committed corpus is replayed through. Each aborts on a
/// broken promise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::fuzz {

/// A stream of frames: however it is cut into pieces, the same frames come out of it.
void read_frames(const uint8_t* data, size_t size);

/// The bytes of a value: what decodes keeps the caps, prints, and encodes to bytes that decode to
/// the same again.
void decode_value(const uint8_t* data, size_t size);

}  // namespace weft::fuzz
