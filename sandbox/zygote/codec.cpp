#include "sandbox/zygote/codec.h"

#include <cstring>

#include "sandbox/zygote/protocol.h"

namespace weft::zygote {
namespace {

PyTypeObject* dict_types[3] = {};

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
  EncodeResult open(char tag, Py_ssize_t count, size_t width);

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
  const bool is_list = PyList_CheckExact(object);
  const Py_ssize_t count = is_list ? PyList_GET_SIZE(object) : PyTuple_GET_SIZE(object);
  auto result = open(is_list ? 'l' : 't', count, 1);
  for (Py_ssize_t i = 0; i < count && result == EncodeResult::kOk; ++i) {
    result = value(is_list ? PyList_GET_ITEM(object, i) : PyTuple_GET_ITEM(object, i), depth + 1);
  }
  return result;
}

EncodeResult Encoder::set(PyObject* object, int depth) {
  auto result = open(PySet_CheckExact(object) ? 'S' : 'Z', PySet_GET_SIZE(object), 1);
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

EncodeResult Encoder::value(PyObject* object, int depth) {
  if (depth > kMaxValueDepth || out_.size() > limit_) return EncodeResult::kTooLarge;
  PyTypeObject* type = Py_TYPE(object);
  if (object == Py_None || object == Py_True || object == Py_False) {
    out_ += object == Py_None ? 'N' : object == Py_True ? 'T' : 'F';
    return EncodeResult::kOk;
  }
  if (type == &PyLong_Type) return integer(object);
  if (type == &PyUnicode_Type) return text(object);
  if (type == &PyFloat_Type) {
    out_ += 'd';
    put(out_, PyFloat_AS_DOUBLE(object));
    return EncodeResult::kOk;
  }
  if (type == &PyComplex_Type) {
    const Py_complex number = reinterpret_cast<PyComplexObject*>(object)->cval;
    out_ += 'c';
    put(out_, number.real);
    put(out_, number.imag);
    return EncodeResult::kOk;
  }
  if (type == &PyBytes_Type) {
    return bytes('b', PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object)));
  }
  if (type == &PyByteArray_Type) {
    return bytes('b', PyByteArray_AS_STRING(object),
                 static_cast<size_t>(PyByteArray_GET_SIZE(object)));
  }
  if (type == &PyList_Type || type == &PyTuple_Type) return sequence(object, depth);
  if (type == &PySet_Type || type == &PyFrozenSet_Type) return set(object, depth);
  if (type == &PyDict_Type) return dict(object, depth);
  for (PyTypeObject* known : dict_types) {
    if (type == known) return dict(object, depth);
  }
  type_name_ = type->tp_name;
  return EncodeResult::kForeignType;
}

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}

  PyObject* value();
  bool at_end() const { return bytes_.empty(); }

 private:
  template <class T>
  T get() {
    T value{};
    if (bytes_.size() >= sizeof value) {
      std::memcpy(&value, bytes_.data(), sizeof value);
      bytes_.remove_prefix(sizeof value);
    }
    return value;
  }
  std::string_view text() {
    const auto part = bytes_.substr(0, get<uint32_t>());
    bytes_.remove_prefix(part.size());
    return part;
  }
  PyObject* sequence(bool is_list);
  PyObject* set(PyObject* result);
  PyObject* dict();

  std::string_view bytes_;
};

PyObject* Decoder::sequence(bool is_list) {
  const auto count = static_cast<Py_ssize_t>(get<uint32_t>());
  PyObject* result = is_list ? PyList_New(count) : PyTuple_New(count);
  for (Py_ssize_t i = 0; result && i < count; ++i) {
    PyObject* item = value();
    if (!item) {
      Py_CLEAR(result);
    } else if (is_list) {
      PyList_SET_ITEM(result, i, item);
    } else {
      PyTuple_SET_ITEM(result, i, item);
    }
  }
  return result;
}

PyObject* Decoder::set(PyObject* result) {
  const auto count = get<uint32_t>();
  for (uint32_t i = 0; result && i < count; ++i) {
    PyObject* item = value();
    if (!item || PySet_Add(result, item) != 0) Py_CLEAR(result);
    Py_XDECREF(item);
  }
  return result;
}

PyObject* Decoder::dict() {
  const auto count = get<uint32_t>();
  PyObject* result = PyDict_New();
  for (uint32_t i = 0; result && i < count; ++i) {
    PyObject* key = value();
    PyObject* item = key ? value() : nullptr;
    if (!item || PyDict_SetItem(result, key, item) != 0) Py_CLEAR(result);
    Py_XDECREF(key);
    Py_XDECREF(item);
  }
  return result;
}

PyObject* Decoder::value() {
  switch (get<char>()) {
    case 'N':
      Py_RETURN_NONE;
    case 'T':
      Py_RETURN_TRUE;
    case 'F':
      Py_RETURN_FALSE;
    case 'i':
      return PyLong_FromLongLong(get<int64_t>());
    case 'I': {
      const auto raw = text();
      return _PyLong_FromByteArray(reinterpret_cast<const unsigned char*>(raw.data()), raw.size(),
                                   1, 1);
    }
    case 'd':
      return PyFloat_FromDouble(get<double>());
    case 'c': {
      const double real = get<double>();
      return PyComplex_FromDoubles(real, get<double>());
    }
    case 's': {
      const auto utf8 = text();
      return PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()),
                                  "surrogatepass");
    }
    case 'b': {
      const auto raw = text();
      return PyBytes_FromStringAndSize(raw.data(), static_cast<Py_ssize_t>(raw.size()));
    }
    case 'l':
      return sequence(true);
    case 't':
      return sequence(false);
    case 'S':
      return set(PySet_New(nullptr));
    case 'Z':
      return set(PyFrozenSet_New(nullptr));
    case 'D':
      return dict();
    default:
      PyErr_SetString(PyExc_ValueError, "malformed value");
      return nullptr;
  }
}

}  // namespace

void remember_dict_types() {
  PyObject* module = PyImport_ImportModule("collections");
  int i = 0;
  for (const char* name : {"Counter", "OrderedDict", "defaultdict"}) {
    dict_types[i++] = reinterpret_cast<PyTypeObject*>(PyObject_GetAttrString(module, name));
  }
  Py_XDECREF(module);
}

EncodeResult encode(PyObject* object, std::string& out, std::string& type_name) {
  return Encoder(out, type_name).value(object, 0);
}

PyObject* decode(std::string_view bytes) { return Decoder(bytes).value(); }

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
