#include "sandbox/value/wire.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little);
using Kind = PythonValue::Kind;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_text(std::string& out, char tag, const std::string& text) {
  out += tag;
  put(out, static_cast<uint32_t>(text.size()));
  out += text;
}

void put_items(std::string& out, char tag, const PythonValue& value, size_t count) {
  out += tag;
  put(out, static_cast<uint32_t>(count));
  for (const auto& item : value.items) encode_value(item, out);
}

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}

  bool value(PythonValue& out, int depth);
  bool at_end() const { return bytes_.empty(); }

 private:
  template <class T>
  bool get(T& out) {
    if (bytes_.size() < sizeof out) return false;
    std::memcpy(&out, bytes_.data(), sizeof out);
    bytes_.remove_prefix(sizeof out);
    return true;
  }
  bool text(PythonValue& out, Kind kind) {
    uint32_t size = 0;
    if (!get(size) || bytes_.size() < size) return false;
    out.kind = kind;
    out.text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return true;
  }
  bool big_int(PythonValue& out);
  bool items(PythonValue& out, Kind kind, size_t width, int depth);
  bool range(PythonValue& out, int depth);
  bool fraction(PythonValue& out, int depth);

  std::string_view bytes_;
  size_t num_items_ = 0;
};

bool Decoder::big_int(PythonValue& out) {
  if (!text(out, Kind::kBigInt) || out.text.empty()) return false;
  const bool negative = (out.text.back() & 0x80) != 0;
  while (out.text.size() > 1 && out.text.back() == (negative ? '\xff' : '\0') &&
         ((out.text[out.text.size() - 2] & 0x80) != 0) == negative) {
    out.text.pop_back();
  }
  if (out.text.size() > 8) return true;
  uint64_t raw = negative ? ~uint64_t{0} : 0;
  for (size_t i = out.text.size(); i-- > 0;) raw = (raw << 8) | static_cast<uint8_t>(out.text[i]);
  out = PythonValue::integer(static_cast<int64_t>(raw));
  return true;
}

bool Decoder::items(PythonValue& out, Kind kind, size_t width, int depth) {
  uint32_t count = 0;
  if (!get(count)) return false;
  const size_t total = size_t{count} * width;
  num_items_ += total;
  if (num_items_ > kMaxValueItems || total > bytes_.size()) return false;
  out.kind = kind;
  out.items.resize(total);
  for (auto& item : out.items) {
    if (!value(item, depth + 1)) return false;
  }
  return true;
}

bool Decoder::range(PythonValue& out, int depth) {
  int64_t start = 0, stop = 0, step = 0;
  if (depth >= kMaxValueDepth || !get(start) || !get(stop) || !get(step) || step == 0) return false;
  out.kind = Kind::kRange;
  out.items = {PythonValue::integer(start), PythonValue::integer(stop), PythonValue::integer(step)};
  return true;
}

bool Decoder::fraction(PythonValue& out, int depth) {
  out.kind = Kind::kFraction;
  out.items.resize(2);
  for (auto& part : out.items) {
    if (!value(part, depth + 1)) return false;
    if (part.kind != Kind::kInt && part.kind != Kind::kBigInt) return false;
  }
  return is_positive(out.items[1]);
}

bool Decoder::value(PythonValue& out, int depth) {
  char tag = 0;
  if (depth > kMaxValueDepth || !get(tag)) return false;
  switch (tag) {
    case 'N':
      return true;
    case 'T':
    case 'F':
      out = PythonValue::boolean(tag == 'T');
      return true;
    case 'i':
      out.kind = Kind::kInt;
      return get(out.number);
    case 'I':
      return big_int(out);
    case 'd':
      out.kind = Kind::kFloat;
      return get(out.real);
    case 'c':
      out.kind = Kind::kComplex;
      return get(out.real) && get(out.imag);
    case 's':
      return text(out, Kind::kStr);
    case 'b':
      return text(out, Kind::kBytes);
    case 'l':
      return items(out, Kind::kList, 1, depth);
    case 't':
      return items(out, Kind::kTuple, 1, depth);
    case 'S':
      return items(out, Kind::kSet, 1, depth);
    case 'Z':
      return items(out, Kind::kFrozenset, 1, depth);
    case 'D':
      return items(out, Kind::kDict, 2, depth);
    case 'q':
      return items(out, Kind::kDeque, 1, depth);
    case 'r':
      return range(out, depth);
    case 'R':
      return fraction(out, depth);
    default:
      return false;
  }
}

[[noreturn]] void throw_over_cap(const std::string& where, const std::string& got, size_t cap) {
  throw InputError(where + ": " + got + ", a value has at most " + std::to_string(cap));
}

size_t count_items(const PythonValue& value, const std::string& where, int depth) {
  if (depth > kMaxValueDepth) throw_over_cap(where, "nested deeper", kMaxValueDepth);
  size_t count = value.items.size();
  for (const auto& item : value.items) count += count_items(item, where, depth + 1);
  return count;
}

}  // namespace

void require_within_caps(const PythonValue& value, const std::string& where) {
  const size_t count = count_items(value, where, 0);
  if (count > kMaxValueItems) {
    throw_over_cap(where, std::to_string(count) + " items", kMaxValueItems);
  }
  std::string bytes;
  encode_value(value, bytes);
  if (bytes.size() > kMaxFrameBytes) {
    throw_over_cap(where, std::to_string(bytes.size()) + " bytes", kMaxFrameBytes);
  }
}

void encode_value(const PythonValue& value, std::string& out) {
  switch (value.kind) {
    case Kind::kNone:
      out += 'N';
      break;
    case Kind::kBool:
      out += value.number ? 'T' : 'F';
      break;
    case Kind::kInt:
      out += 'i';
      put(out, value.number);
      break;
    case Kind::kBigInt:
      put_text(out, 'I', value.text);
      break;
    case Kind::kFloat:
      out += 'd';
      put(out, value.real);
      break;
    case Kind::kComplex:
      out += 'c';
      put(out, value.real);
      put(out, value.imag);
      break;
    case Kind::kStr:
      put_text(out, 's', value.text);
      break;
    case Kind::kBytes:
      put_text(out, 'b', value.text);
      break;
    case Kind::kList:
      put_items(out, 'l', value, value.items.size());
      break;
    case Kind::kTuple:
      put_items(out, 't', value, value.items.size());
      break;
    case Kind::kSet:
      put_items(out, 'S', value, value.items.size());
      break;
    case Kind::kFrozenset:
      put_items(out, 'Z', value, value.items.size());
      break;
    case Kind::kDict:
      put_items(out, 'D', value, value.items.size() / 2);
      break;
    case Kind::kDeque:
      put_items(out, 'q', value, value.items.size());
      break;
    case Kind::kRange:
      out += 'r';
      for (const auto& bound : value.items) put(out, bound.number);
      break;
    case Kind::kFraction:
      out += 'R';
      for (const auto& part : value.items) encode_value(part, out);
      break;
  }
}

std::optional<PythonValue> decode_value(std::string_view bytes) {
  Decoder decoder(bytes);
  PythonValue value;
  if (!decoder.value(value, 0) || !decoder.at_end()) return std::nullopt;
  return value;
}

std::string make_frame(FrameType type, uint32_t id, const PythonValue& value) {
  std::string out(sizeof(FrameHeader), '\0');
  encode_value(value, out);
  const FrameHeader header{static_cast<uint32_t>(out.size() - sizeof header), type, id};
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

FrameReader::Next FrameReader::next(Frame& frame) {
  FrameHeader header;
  const size_t have = buffer_.size() - start_;
  if (have >= sizeof header) {
    std::memcpy(&header, buffer_.data() + start_, sizeof header);
    if (header.length > kMaxFrameBytes || header.type < FrameType::kLocked ||
        header.type > FrameType::kRequest) {
      return Next::kMalformed;
    }
    if (have - sizeof header >= header.length) {
      frame = {header.type, header.id, buffer_.substr(start_ + sizeof header, header.length)};
      start_ += sizeof header + header.length;
      return Next::kFrame;
    }
  }
  buffer_.erase(0, start_);
  start_ = 0;
  return Next::kMore;
}

}  // namespace weft
