#include "sandbox/zygote/workflow_module.h"

#include <Python.h>
#include <unistd.h>

#include <string>

#include "sandbox/zygote/channel.h"
#include "sandbox/zygote/codec.h"

namespace weft::zygote {
namespace {

Channel* channel = nullptr;
uint32_t last_request = 0;

PyObject* request(PyObject*, PyObject* args) {
  std::string body, type_name;
  switch (encode(args, body, type_name)) {
    case EncodeResult::kOk:
      break;
    case EncodeResult::kForeignType:
      PyErr_Format(PyExc_TypeError, "expected plain data, got %.100s", type_name.c_str());
      return nullptr;
    case EncodeResult::kTooLarge:
      PyErr_SetString(PyExc_ValueError, "the request is too large");
      return nullptr;
  }
  const uint32_t id = ++last_request;
  Py_BEGIN_ALLOW_THREADS;
  channel->write(FrameType::kRequest, id, body);
  Py_END_ALLOW_THREADS;
  return PyLong_FromUnsignedLong(id);
}

PyObject* receive(PyObject*, PyObject* wait) {
  InFrame frame;
  bool got = false;
  Py_BEGIN_ALLOW_THREADS;
  got = channel->read(frame, wait == Py_True);
  Py_END_ALLOW_THREADS;
  if (!got) {
    if (channel->at_end()) _exit(4);
    Py_RETURN_NONE;
  }
  PyObject* value = decode(frame.body);
  return value ? Py_BuildValue("(kN)", static_cast<unsigned long>(frame.id), value) : nullptr;
}

PyMethodDef methods[] = {
    {"request", request, METH_VARARGS, "Sends a request; returns its id."},
    {"receive", receive, METH_O, "Next (id, reply); None where none has come and wait is false."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_weft", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

PyObject* init() {
  PyObject* module = PyModule_Create(&definition);
  if (module) PyModule_AddIntConstant(module, "fd", kChannelFd);
  return module;
}

}  // namespace

void register_workflow_module() { PyImport_AppendInittab("_weft", init); }

void set_workflow_channel(Channel* value) { channel = value; }

}  // namespace weft::zygote
