#include <cstring>

#include "sandbox/zygote/codec.h"
#include "sandbox/zygote/known_types.h"

namespace weft::zygote {
namespace {

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
  PyObject* deque();
  PyObject* range();
  PyObject* fraction();

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

PyObject* Decoder::deque() {
  PyObject* list = sequence(true);
  PyTypeObject* type = remembered_type(KnownType::kDeque);
  PyObject* result =
      list && type ? PyObject_CallOneArg(reinterpret_cast<PyObject*>(type), list) : nullptr;
  Py_XDECREF(list);
  return result;
}

PyObject* Decoder::range() {
  const auto start = get<int64_t>(), stop = get<int64_t>(), step = get<int64_t>();
  return PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyRange_Type), "LLL",
                               static_cast<long long>(start), static_cast<long long>(stop),
                               static_cast<long long>(step));
}

PyObject* Decoder::fraction() {
  PyObject* numerator = value();
  PyObject* denominator = numerator ? value() : nullptr;
  PyObject* module = denominator ? PyImport_ImportModule("fractions") : nullptr;
  PyObject* result =
      module ? PyObject_CallMethod(module, "Fraction", "OO", numerator, denominator) : nullptr;
  Py_XDECREF(module);
  Py_XDECREF(denominator);
  Py_XDECREF(numerator);
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
    case 'q':
      return deque();
    case 'r':
      return range();
    case 'R':
      return fraction();
    default:
      PyErr_SetString(PyExc_ValueError, "malformed value");
      return nullptr;
  }
}

}  // namespace

PyObject* decode(std::string_view bytes) { return Decoder(bytes).value(); }

}  // namespace weft::zygote
