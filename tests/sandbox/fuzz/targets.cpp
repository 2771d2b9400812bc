#include "tests/sandbox/fuzz/targets.h"

#include <algorithm>
#include <cstdlib>

#include "sandbox/value/compare.h"
#include "sandbox/value/wire.h"

namespace weft::fuzz {
namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

struct Reading {
  std::vector<Frame> frames;
  bool malformed = false;
};

// The stream in pieces of `step` bytes.
Reading read_in_steps(const char* data, size_t size, size_t step) {
  Reading reading;
  FrameReader reader;
  for (size_t start = 0; start < size && !reading.malformed; start += step) {
    reader.append(data + start, std::min(step, size - start));
    Frame frame;
    FrameReader::Next next;
    while ((next = reader.next(frame)) == FrameReader::Next::kFrame) {
      require(frame.body.size() <= kMaxFrameBytes);
      reading.frames.push_back(frame);
    }
    reading.malformed = next == FrameReader::Next::kMalformed;
  }
  return reading;
}

void check_caps(const PythonValue& value, int depth) {
  require(depth <= kMaxValueDepth);
  if (value.kind == PythonValue::Kind::kDict) require(value.items.size() % 2 == 0);
  for (const auto& item : value.items) check_caps(item, depth + 1);
}

}  // namespace

void read_frames(const uint8_t* data, size_t size) {
  const char* bytes = reinterpret_cast<const char*>(data);
  const Reading whole = read_in_steps(bytes, size, std::max<size_t>(size, 1));
  const Reading pieces = read_in_steps(bytes, size, 7);
  require(whole.malformed == pieces.malformed && whole.frames.size() == pieces.frames.size());
  for (size_t i = 0; i < whole.frames.size(); ++i) {
    require(whole.frames[i].type == pieces.frames[i].type &&
            whole.frames[i].id == pieces.frames[i].id &&
            whole.frames[i].body == pieces.frames[i].body);
  }
}

void decode_value(const uint8_t* data, size_t size) {
  const auto value = weft::decode_value({reinterpret_cast<const char*>(data), size});
  if (!value) return;
  check_caps(*value, 0);
  require(python_literal(*value, 500).size() <= 5000);
  std::string once, twice;
  encode_value(*value, once);
  const auto again = weft::decode_value(once);
  require(again.has_value());
  encode_value(*again, twice);
  require(once == twice);
  Comparer::Tolerance tolerance{1e-6, 1e-6};
  for (const auto& comparer :
       {Comparer{}, Comparer{true, true, {}}, Comparer{false, false, tolerance}}) {
    comparer.equal(*value, *again);
  }
}

}  // namespace weft::fuzz
