#include "sandbox/zygote/raised.h"

#include <Python.h>

#include <cstring>
#include <deque>

#include "sandbox/zygote/codec.h"

namespace weft::zygote {
namespace {

constexpr size_t kMaxMessage = 1000;
constexpr size_t kMaxLines = 8;

void append_plain(PyObject* object, std::string& out) {
  if (PyUnicode_CheckExact(object)) {
    out += utf8_of(object, kMaxMessage);
  } else if (PyLong_CheckExact(object)) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    out += overflow ? "a large integer" : std::to_string(value);
  } else if (PyFloat_CheckExact(object)) {
    out += std::to_string(PyFloat_AS_DOUBLE(object));
  } else if (PyTuple_CheckExact(object)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object) && out.size() < kMaxMessage; ++i) {
      if (i > 0) out += ", ";
      PyObject* item = PyTuple_GET_ITEM(object, i);
      PyTuple_CheckExact(item) ? void(out += "(...)") : append_plain(item, out);
    }
  } else {
    out += '<';
    out += Py_TYPE(object)->tp_name;
    out += '>';
  }
}

bool is_syntax_error(PyObject* type) {
  return type && PyType_Check(type) &&
         PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type),
                          reinterpret_cast<PyTypeObject*>(PyExc_SyntaxError));
}

std::string syntax_message(PyObject* words, PyObject* line) {
  std::string message;
  if (words) append_plain(words, message);
  if (line && PyLong_CheckExact(line)) {
    message += " (line ";
    append_plain(line, message);
    message += ")";
  }
  return message;
}

/// Item `i` of a tuple; null where there is none.
PyObject* item_of(PyObject* tuple, Py_ssize_t i) {
  const bool has_it = tuple && PyTuple_CheckExact(tuple) && i < PyTuple_GET_SIZE(tuple);
  return has_it ? PyTuple_GET_ITEM(tuple, i) : nullptr;
}

std::string message_of(PyObject* type, PyObject* value) {
  std::string message;
  if (!value) return message;
  if (!PyExceptionInstance_Check(value)) {
    // The compiler leaves the arguments of its error, (message, (file, line, ...)).
    PyObject* place = is_syntax_error(type) ? item_of(value, 1) : nullptr;
    if (place) return syntax_message(item_of(value, 0), item_of(place, 1));
    append_plain(value, message);
  } else if (is_syntax_error(reinterpret_cast<PyObject*>(Py_TYPE(value)))) {
    const auto* error = reinterpret_cast<PySyntaxErrorObject*>(value);
    return syntax_message(error->msg, error->lineno);
  } else if (PyObject* args = reinterpret_cast<PyBaseExceptionObject*>(value)->args) {
    append_plain(args, message);
  }
  return message;
}

std::deque<std::string> lines_of(PyObject* trace, const char* main_file) {
  std::deque<std::string> lines;
  for (auto* entry = reinterpret_cast<PyTracebackObject*>(trace); entry; entry = entry->tb_next) {
    PyCodeObject* code = PyFrame_GetCode(entry->tb_frame);
    const int line =
        entry->tb_lineno >= 0 ? entry->tb_lineno : PyCode_Addr2Line(code, entry->tb_lasti);
    std::string text = "line " + std::to_string(line) + ", in ";
    text += PyUnicode_CheckExact(code->co_name) ? utf8_of(code->co_name, 100) : "?";
    const std::string file =
        PyUnicode_CheckExact(code->co_filename) ? utf8_of(code->co_filename, 200) : "?";
    if (file != main_file) text += " of " + file;
    lines.push_back(text);
    if (lines.size() > kMaxLines) lines.pop_front();
    Py_DECREF(code);
  }
  return lines;
}

}  // namespace

std::string take_exception(const char* main_file) {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  const char* name = type && PyType_Check(type) ? reinterpret_cast<PyTypeObject*>(type)->tp_name
                                                : "unknown exception";
  std::string body = "t";
  const auto put_count = [&body](uint32_t count) {
    body.append(reinterpret_cast<const char*>(&count), sizeof count);
  };
  put_count(3);
  encode_text(name, 200, body);
  encode_text(message_of(type, value), kMaxMessage, body);
  const auto lines =
      trace && PyTraceBack_Check(trace) ? lines_of(trace, main_file) : std::deque<std::string>{};
  body += 'l';
  put_count(static_cast<uint32_t>(lines.size()));
  for (const auto& line : lines) encode_text(line, 400, body);
  // The references are kept: dropping them could run guest code before the report is out.
  return body;
}

}  // namespace weft::zygote
