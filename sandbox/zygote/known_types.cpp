#include "sandbox/zygote/known_types.h"

#include <algorithm>
#include <vector>

namespace weft::zygote {
namespace {

struct Known {
  PyTypeObject* type;
  KnownType kind;
};

std::vector<Known> known;
PyObject* numerator_slot = nullptr;
PyObject* denominator_slot = nullptr;

void remember(const char* module_name, const char* name, KnownType kind) {
  PyObject* key = PyUnicode_FromString(module_name);
  PyObject* module = key ? PyImport_GetModule(key) : nullptr;
  PyObject* type = module ? PyObject_GetAttrString(module, name) : nullptr;
  if (type && PyType_Check(type)) known.push_back({reinterpret_cast<PyTypeObject*>(type), kind});
  Py_XDECREF(module);
  Py_XDECREF(key);
  PyErr_Clear();
}

PyObject* get_slot(PyObject* slot, PyObject* object) {
  PyObject* value =
      slot ? Py_TYPE(slot)->tp_descr_get(slot, object, reinterpret_cast<PyObject*>(Py_TYPE(object)))
           : nullptr;
  if (!value) PyErr_Clear();
  return value;
}

}  // namespace

void remember_types() {
  for (const char* name : {"Counter", "OrderedDict", "defaultdict"}) {
    remember("collections", name, KnownType::kDict);
  }
  remember("collections", "deque", KnownType::kDeque);
  remember("fractions", "Fraction", KnownType::kFraction);
  remember("decimal", "Decimal", KnownType::kDecimal);
  for (const char* name :
       {"bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "longlong", "ulonglong", "float16", "float32", "float64", "complex64", "complex128"}) {
    remember("numpy", name, KnownType::kNumpyNumber);
  }
  remember("numpy", "str_", KnownType::kNumpyText);
  remember("numpy", "ndarray", KnownType::kNumpyArray);
  if (const PyTypeObject* fraction = remembered_type(KnownType::kFraction)) {
    numerator_slot = PyDict_GetItemString(fraction->tp_dict, "_numerator");
    denominator_slot = PyDict_GetItemString(fraction->tp_dict, "_denominator");
    Py_XINCREF(numerator_slot);
    Py_XINCREF(denominator_slot);
  }
}

KnownType known_type(const PyTypeObject* type) {
  const auto found = std::find_if(known.begin(), known.end(),
                                  [type](const Known& each) { return each.type == type; });
  return found == known.end() ? KnownType::kNone : found->kind;
}

PyTypeObject* remembered_type(KnownType kind) {
  const auto found = std::find_if(known.begin(), known.end(),
                                  [kind](const Known& each) { return each.kind == kind; });
  return found == known.end() ? nullptr : found->type;
}

bool fraction_parts(PyObject* fraction, PyObject*& numerator, PyObject*& denominator) {
  numerator = get_slot(numerator_slot, fraction);
  denominator = get_slot(denominator_slot, fraction);
  if (numerator && denominator) return true;
  Py_CLEAR(numerator);
  Py_CLEAR(denominator);
  return false;
}

bool compares_as(const PyTypeObject* type, const PyTypeObject& base) {
  return PyType_IsSubtype(const_cast<PyTypeObject*>(type), const_cast<PyTypeObject*>(&base)) &&
         type->tp_richcompare == base.tp_richcompare;
}

}  // namespace weft::zygote
