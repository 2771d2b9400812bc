#include "sandbox/zygote/codec.h"

#include <cstring>

#include "sandbox/zygote/known_types.h"
#include "sandbox/zygote/protocol.h"

namespace weft::zygote {
namespace {

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_code_point(std::string& out, Py_UCS4 c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

class Encoder {
 public:
  Encoder(std::string& out, std::string& type_name)
      : out_(out), type_name_(type_name), limit_(out.size() + kMaxFrameBytes) {}

  EncodeResult value(PyObject* object, int depth);

 private:
  EncodeResult integer(PyObject* object);
  EncodeResult text(PyObject* object);
  EncodeResult bytes(char tag, const char* data, size_t size);
  EncodeResult sequence(PyObject* object, int depth);
  EncodeResult set(PyObject* object, int depth);
  EncodeResult dict(PyObject* object, int depth);
  EncodeResult deque(PyObject* object, int depth);
  EncodeResult range(PyObject* object, int depth);
  EncodeResult fraction(PyObject* numerator, PyObject* denominator, int depth);
  EncodeResult decimal(PyObject* object, int depth);
  EncodeResult numpy(PyObject* object, int depth);
  EncodeResult elements(const Py_buffer& view, int dimension, const char* data, int depth);
  EncodeResult element(const Py_buffer& view, const char* data, int depth);
  EncodeResult builtin(PyObject* object, int depth);
  EncodeResult foreign(PyObject* object);
  EncodeResult open(char tag, Py_ssize_t count, size_t width);

  template <class T>
  EncodeResult number(char tag, T value) {
    out_ += tag;
    put(out_, value);
    return EncodeResult::kOk;
  }

  std::string& out_;
  std::string& type_name_;
  size_t limit_;
  size_t num_items_ = 0;
};

EncodeResult Encoder::open(char tag, Py_ssize_t count, size_t width) {
  num_items_ += static_cast<size_t>(count) * width;
  if (num_items_ > kMaxValueItems || out_.size() > limit_) return EncodeResult::kTooLarge;
  out_ += tag;
  put(out_, static_cast<uint32_t>(count));
  return EncodeResult::kOk;
}

EncodeResult Encoder::bytes(char tag, const char* data, size_t size) {
  if (out_.size() + size > limit_) return EncodeResult::kTooLarge;
  out_ += tag;
  put(out_, static_cast<uint32_t>(size));
  out_.append(data, size);
  return EncodeResult::kOk;
}

EncodeResult Encoder::integer(PyObject* object) {
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (!overflow) {
    out_ += 'i';
    put(out_, static_cast<int64_t>(small));
    return EncodeResult::kOk;
  }
  const size_t size = _PyLong_NumBits(object) / 8 + 1;
  if (out_.size() + size > limit_) return EncodeResult::kTooLarge;
  std::string raw(size, '\0');
  _PyLong_AsByteArray(reinterpret_cast<PyLongObject*>(object),
                      reinterpret_cast<unsigned char*>(raw.data()), size, 1, 1);
  return bytes('I', raw.data(), size);
}

EncodeResult Encoder::text(PyObject* object) {
  if (PyUnicode_READY(object) != 0) {
    PyErr_Clear();
    return EncodeResult::kTooLarge;
  }
  const auto length = static_cast<size_t>(PyUnicode_GET_LENGTH(object));
  if (PyUnicode_IS_ASCII(object)) {
    return bytes('s', static_cast<const char*>(PyUnicode_DATA(object)), length);
  }
  if (out_.size() + length > limit_) return EncodeResult::kTooLarge;
  const std::string utf8 = utf8_of(object, kMaxFrameBytes + 1);
  return bytes('s', utf8.data(), utf8.size());
}

EncodeResult Encoder::sequence(PyObject* object, int depth) {
  const bool is_list = PyList_Check(object);
  const Py_ssize_t count = is_list ? PyList_GET_SIZE(object) : PyTuple_GET_SIZE(object);
  auto result = open(is_list ? 'l' : 't', count, 1);
  for (Py_ssize_t i = 0; i < count && result == EncodeResult::kOk; ++i) {
    result = value(is_list ? PyList_GET_ITEM(object, i) : PyTuple_GET_ITEM(object, i), depth + 1);
  }
  return result;
}

EncodeResult Encoder::set(PyObject* object, int depth) {
  auto result =
      open(PyObject_TypeCheck(object, &PySet_Type) ? 'S' : 'Z', PySet_GET_SIZE(object), 1);
  Py_ssize_t position = 0;
  PyObject* item = nullptr;
  Py_hash_t hash = 0;
  while (result == EncodeResult::kOk && _PySet_NextEntry(object, &position, &item, &hash)) {
    result = value(item, depth + 1);
  }
  return result;
}

EncodeResult Encoder::dict(PyObject* object, int depth) {
  auto result = open('D', PyDict_GET_SIZE(object), 2);
  Py_ssize_t position = 0;
  PyObject *key = nullptr, *item = nullptr;
  while (result == EncodeResult::kOk && PyDict_Next(object, &position, &key, &item)) {
    result = value(key, depth + 1);
    if (result == EncodeResult::kOk) result = value(item, depth + 1);
  }
  return result;
}

EncodeResult Encoder::foreign(PyObject* object) {
  type_name_ = Py_TYPE(object)->tp_name;
  return EncodeResult::kForeignType;
}

EncodeResult Encoder::deque(PyObject* object, int depth) {
  PyObject* list = PySequence_List(object);
  if (!list) {
    PyErr_Clear();
    return EncodeResult::kTooLarge;
  }
  auto result = open('q', PyList_GET_SIZE(list), 1);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list) && result == EncodeResult::kOk; ++i) {
    result = value(PyList_GET_ITEM(list, i), depth + 1);
  }
  Py_DECREF(list);
  return result;
}

EncodeResult Encoder::range(PyObject* object, int depth) {
  if (depth >= kMaxValueDepth) return EncodeResult::kTooLarge;
  out_ += 'r';
  for (const char* name : {"start", "stop", "step"}) {
    PyObject* bound = PyObject_GetAttrString(object, name);
    int overflow = 0;
    put(out_, static_cast<int64_t>(PyLong_AsLongLongAndOverflow(bound, &overflow)));
    Py_DECREF(bound);
    if (overflow) return EncodeResult::kTooLarge;
  }
  return EncodeResult::kOk;
}

// Guests can put anything into a Fraction.
EncodeResult Encoder::fraction(PyObject* numerator, PyObject* denominator, int depth) {
  for (PyObject* part : {numerator, denominator}) {
    if (!PyLong_CheckExact(part)) return foreign(part);
  }
  out_ += 'R';
  const auto result = value(numerator, depth + 1);
  return result == EncodeResult::kOk ? value(denominator, depth + 1) : result;
}

// The type is C and cannot be changed: its methods are no guest code.
EncodeResult Encoder::decimal(PyObject* object, int depth) {
  PyObject* ratio = PyObject_CallMethod(object, "as_integer_ratio", nullptr);
  if (ratio) {
    const auto result = fraction(PyTuple_GET_ITEM(ratio, 0), PyTuple_GET_ITEM(ratio, 1), depth);
    Py_DECREF(ratio);
    return result;
  }
  PyErr_Clear();
  PyObject* special = PyNumber_Float(object);  // NaN or infinite
  PyErr_Clear();
  if (!special) return foreign(object);
  const double number_of_it = PyFloat_AS_DOUBLE(special);
  Py_DECREF(special);
  return number('d', number_of_it);
}

EncodeResult Encoder::numpy(PyObject* object, int depth) {
  Py_buffer view;
  if (PyObject_GetBuffer(object, &view, PyBUF_STRIDED_RO | PyBUF_FORMAT) != 0) {
    PyErr_Clear();
    return foreign(object);
  }
  const auto result = elements(view, 0, static_cast<const char*>(view.buf), depth);
  PyBuffer_Release(&view);
  return result == EncodeResult::kForeignType && type_name_.empty() ? foreign(object) : result;
}

EncodeResult Encoder::elements(const Py_buffer& view, int dimension, const char* data, int depth) {
  if (depth > kMaxValueDepth) return EncodeResult::kTooLarge;
  if (dimension == view.ndim) return element(view, data, depth);
  auto result = open('l', view.shape[dimension], 1);
  for (Py_ssize_t i = 0; i < view.shape[dimension] && result == EncodeResult::kOk; ++i) {
    result = elements(view, dimension + 1, data + i * view.strides[dimension], depth + 1);
  }
  return result;
}

template <class T>
T read_as(const char* data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

int64_t read_signed(const char* data, Py_ssize_t size) {
  return size == 1   ? read_as<int8_t>(data)
         : size == 2 ? read_as<int16_t>(data)
         : size == 4 ? read_as<int32_t>(data)
                     : read_as<int64_t>(data);
}

uint64_t read_unsigned(const char* data, Py_ssize_t size) {
  return size == 1   ? read_as<uint8_t>(data)
         : size == 2 ? read_as<uint16_t>(data)
         : size == 4 ? read_as<uint32_t>(data)
                     : read_as<uint64_t>(data);
}

// Of the struct module's formats those of numbers in the machine's byte order, and objects.
EncodeResult Encoder::element(const Py_buffer& view, const char* data, int depth) {
  std::string_view format = view.format ? view.format : "B";
  if (format.starts_with('<') || format.starts_with('=') || format.starts_with('@')) {
    format.remove_prefix(1);
  }
  if (format == "Zf") {
    number('c', static_cast<double>(read_as<float>(data)));
    put(out_, static_cast<double>(read_as<float>(data + sizeof(float))));
    return EncodeResult::kOk;
  }
  if (format == "Zd") {
    number('c', read_as<double>(data));
    put(out_, read_as<double>(data + sizeof(double)));
    return EncodeResult::kOk;
  }
  if (format.size() != 1) return EncodeResult::kForeignType;
  if (format == "O") return value(read_as<PyObject*>(data), depth);
  if (format == "?") {
    out_ += *data ? 'T' : 'F';
    return EncodeResult::kOk;
  }
  if (format == "e") return number('d', PyFloat_Unpack2(data, 1));
  if (format == "f") return number('d', static_cast<double>(read_as<float>(data)));
  if (format == "d") return number('d', read_as<double>(data));
  if (std::string_view("bhilq").find(format) != std::string_view::npos) {
    return number('i', read_signed(data, view.itemsize));
  }
  if (std::string_view("BHILQ").find(format) == std::string_view::npos) {
    return EncodeResult::kForeignType;
  }
  const uint64_t wide = read_unsigned(data, view.itemsize);
  if (wide <= INT64_MAX) return number('i', static_cast<int64_t>(wide));
  const std::string raw = std::string(reinterpret_cast<const char*>(&wide), sizeof wide) + '\0';
  return bytes('I', raw.data(), raw.size());
}

// Of Python's own types and of those below them that are compared alike: what is read is what they
// hold.
EncodeResult Encoder::builtin(PyObject* object, int depth) {
  const PyTypeObject* type = Py_TYPE(object);
  if (compares_as(type, PyLong_Type)) return integer(object);
  if (compares_as(type, PyUnicode_Type)) return text(object);
  if (compares_as(type, PyFloat_Type)) return number('d', PyFloat_AS_DOUBLE(object));
  if (compares_as(type, PyComplex_Type)) {
    const Py_complex both = reinterpret_cast<PyComplexObject*>(object)->cval;
    number('c', both.real);
    put(out_, both.imag);
    return EncodeResult::kOk;
  }
  if (compares_as(type, PyBytes_Type)) {
    return bytes('b', PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object)));
  }
  if (compares_as(type, PyByteArray_Type)) {
    return bytes('b', PyByteArray_AS_STRING(object),
                 static_cast<size_t>(PyByteArray_GET_SIZE(object)));
  }
  if (compares_as(type, PyList_Type) || compares_as(type, PyTuple_Type)) {
    return sequence(object, depth);
  }
  if (compares_as(type, PySet_Type) || compares_as(type, PyFrozenSet_Type)) {
    return set(object, depth);
  }
  if (compares_as(type, PyDict_Type)) return dict(object, depth);
  if (type == &PyRange_Type) return range(object, depth);
  return foreign(object);
}

EncodeResult Encoder::value(PyObject* object, int depth) {
  if (depth > kMaxValueDepth || out_.size() > limit_) return EncodeResult::kTooLarge;
  if (object == Py_None || object == Py_True || object == Py_False) {
    out_ += object == Py_None ? 'N' : object == Py_True ? 'T' : 'F';
    return EncodeResult::kOk;
  }
  switch (known_type(Py_TYPE(object))) {
    case KnownType::kNone:
      return builtin(object, depth);
    case KnownType::kDict:
      return dict(object, depth);
    case KnownType::kDeque:
      return deque(object, depth);
    case KnownType::kFraction: {
      PyObject *numerator = nullptr, *denominator = nullptr;
      if (!fraction_parts(object, numerator, denominator)) return foreign(object);
      const auto result = fraction(numerator, denominator, depth);
      Py_DECREF(numerator);
      Py_DECREF(denominator);
      return result;
    }
    case KnownType::kDecimal:
      return decimal(object, depth);
    case KnownType::kNumpyText:
      return text(object);
    case KnownType::kNumpyNumber:
    case KnownType::kNumpyArray:
      return numpy(object, depth);
  }
  return foreign(object);
}

}  // namespace

EncodeResult encode(PyObject* object, std::string& out, std::string& type_name) {
  const bool collects = PyGC_Disable() != 0;  // it would run guests' finalisers in between
  const auto result = Encoder(out, type_name).value(object, 0);
  if (collects) PyGC_Enable();
  return result;
}

void encode_text(std::string_view text, size_t max_bytes, std::string& out) {
  size_t size = text.size() < max_bytes ? text.size() : max_bytes;
  while (size < text.size() && size > 0 && (text[size] & 0xc0) == 0x80) --size;
  out += 's';
  put(out, static_cast<uint32_t>(size));
  out += text.substr(0, size);
}

std::string utf8_of(PyObject* str, size_t max_bytes) {
  std::string out;
  if (PyUnicode_READY(str) != 0) {
    PyErr_Clear();
    return out;
  }
  const Py_ssize_t length = PyUnicode_GET_LENGTH(str);
  const int kind = PyUnicode_KIND(str);
  const void* data = PyUnicode_DATA(str);
  for (Py_ssize_t i = 0; i < length && out.size() < max_bytes; ++i) {
    append_code_point(out, PyUnicode_READ(kind, data, i));
  }
  return out;
}

}  // namespace weft::zygote
