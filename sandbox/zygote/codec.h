/// Between Python objects and the bytes of sandbox/value/wire.h, without running a line of guest
/// code: types of C by their identity, and those below them that define no comparison of their own,
/// as what they hold; containers are read by index, no method of a guest's class is called.
#pragma once

#include <Python.h>

#include <string>
#include <string_view>

namespace weft::zygote {

enum class EncodeResult {
  kOk,
  kForeignType,  ///< some part is no plain data
  kTooLarge,     ///< depth, items or bytes over the caps
};

/// Appends `object`; `type_name` names the type of the part that is no plain data.
EncodeResult encode(PyObject* object, std::string& out, std::string& type_name);

/// A new reference to the value that fills `bytes`, or null with a Python exception set.
PyObject* decode(std::string_view bytes);

/// Appends a str in the wire's form, cut to `max_bytes` at a character.
void encode_text(std::string_view text, size_t max_bytes, std::string& out);

/// UTF-8 of an exact str, lone surrogates as three bytes, cut near `max_bytes`.
std::string utf8_of(PyObject* str, size_t max_bytes);

}  // namespace weft::zygote
