/// Types of Python's libraries whose values are plain data, remembered before any guest code.
#pragma once

#include <Python.h>

namespace weft::zygote {

enum class KnownType {
  kNone,
  kDict,         ///< collections.Counter, OrderedDict, defaultdict
  kDeque,        ///< collections.deque
  kFraction,     ///< fractions.Fraction
  kDecimal,      ///< decimal.Decimal
  kNumpyNumber,  ///< numpy's scalars
  kNumpyText,    ///< numpy.str_
  kNumpyArray,   ///< numpy.ndarray
};

/// Those of modules that are imported by then; others stay kNone.
void remember_types();

/// By identity: no subclass, no namesake.
KnownType known_type(const PyTypeObject* type);

/// The remembered type of a kind that has one only, borrowed; null where it is not imported.
PyTypeObject* remembered_type(KnownType kind);

/// What a Fraction holds, read without its methods: two new references, or false.
bool fraction_parts(PyObject* fraction, PyObject*& numerator, PyObject*& denominator);

/// Whether instances of `type` are compared, by `==`, as those of its base `base` are: nothing
/// between the two defines it anew.
bool compares_as(const PyTypeObject* type, const PyTypeObject& base);

}  // namespace weft::zygote
