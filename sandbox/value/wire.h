/// The binary format between a jailed child and the process outside.
///
/// A frame is a FrameHeader and `length` bytes. A value is a tag byte and its body; all integers
/// are little-endian:
///   N T F                   None, True, False
///   i int64                 integer that fits; I u32 n, n bytes two's complement otherwise
///   d f64 / c f64 f64       float / complex
///   s u32 n, n bytes        str (UTF-8, lone surrogates encoded) / b likewise bytes
///   l t S Z u32 n, n values list, tuple, set, frozenset; q likewise deque
///   D u32 n, n pairs        dict
///   r int64 int64 int64     range: start, stop, step, which is not 0
///   R value value           numerator and positive denominator, two integers
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/value/value.h"
#include "sandbox/zygote/protocol.h"

namespace weft {

/// Appends the value's bytes.
void encode_value(const PythonValue& value, std::string& out);

/// One value that fills `bytes` exactly and keeps the caps of protocol.h; nothing otherwise. Never
/// throws, whatever the bytes.
std::optional<PythonValue> decode_value(std::string_view bytes);

/// Throws InputError, opened by `where`, naming the cap of protocol.h that the value breaks.
void require_within_caps(const PythonValue& value, const std::string& where);

std::string make_frame(FrameType type, uint32_t id, const PythonValue& value);

struct Frame {
  FrameType type = FrameType::kLoaded;
  uint32_t id = 0;
  std::string body;
};

/// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  void append(const char* data, size_t size) { buffer_.append(data, size); }

  enum class Next {
    kFrame,
    kMore,       ///< the next frame is not complete
    kMalformed,  ///< a length over the cap or an unknown type; nothing after it is read
  };
  Next next(Frame& frame);

 private:
  std::string buffer_;
  size_t start_ = 0;
};

}  // namespace weft
