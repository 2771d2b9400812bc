#include <Python.h>
#include <unistd.h>

#include <string>

#include "sandbox/zygote/channel.h"
#include "sandbox/zygote/codec.h"
#include "sandbox/zygote/interpreter.h"
#include "sandbox/zygote/raised.h"
#include "sandbox/zygote/workflow_module.h"

namespace weft::zygote {
namespace {

constexpr const char* kCandidateFile = "<candidate>";
constexpr int kBadJob = 119;  // exit status
constexpr int kNotFlushed =
    120;  // CPython's exit status when the standard streams could not be flushed

// What a kJob frame of every kind holds: a tuple of strs; of a workflow the names of tools, too.
class Job {
 public:
  explicit Job(const InFrame& frame) : fields_(decode(frame.body)) {
    if (!fields_ || !PyTuple_CheckExact(fields_)) _exit(kBadJob);
  }
  PyObject* field(Py_ssize_t i) const {
    if (i >= PyTuple_GET_SIZE(fields_)) _exit(kBadJob);
    return PyTuple_GET_ITEM(fields_, i);
  }
  PyObject* all() const { return fields_; }

 private:
  PyObject* fields_;
};

// A fresh module of that name in sys.modules, too; a new reference.
PyObject* make_module(const char* name) {
  PyObject* modules = PyImport_GetModuleDict();
  PyObject* module = PyModule_New(name);
  if (!module || PyDict_SetItemString(modules, name, module) != 0) _exit(kBadJob);
  PyDict_SetItemString(PyModule_GetDict(module), "__builtins__", PyEval_GetBuiltins());
  return module;
}

// The dict of such a module, which stays as long as the process.
PyObject* make_namespace(const char* name) { return PyModule_GetDict(make_module(name)); }

// What calls go to: a function that the code defines, or a method of one object a call.
class EntryPoint {
 public:
  // `name` as "f" or "Solution().f"; `dict` is the code's, borrowed.
  EntryPoint(PyObject* dict, PyObject* name) : dict_(dict) {
    const std::string text = utf8_of(name, kMaxFrameBytes);
    const size_t call = text.find("().");
    name_ = text.substr(0, call);
    if (call != std::string::npos) method_ = text.substr(call + 3);
  }
  // Of trusted code.
  explicit EntryPoint(PyObject* function) : function_(function) {}

  // Looks the name up, once; false where the code does not define it.
  bool find() {
    function_ = PyDict_GetItemString(dict_, name_.c_str());
    Py_XINCREF(function_);
    return function_ && (method_.empty() || PyObject_HasAttrString(function_, method_.c_str()));
  }

  // What to call: a new reference, or null with an exception set.
  PyObject* bind() const {
    if (method_.empty()) {
      Py_INCREF(function_);
      return function_;
    }
    PyObject* object = PyObject_CallNoArgs(function_);
    PyObject* method = object ? PyObject_GetAttrString(object, method_.c_str()) : nullptr;
    Py_XDECREF(object);
    return method;
  }

  PyObject* dict() const { return dict_; }

 private:
  PyObject* dict_ = nullptr;
  PyObject* function_ = nullptr;
  std::string name_, method_;
};

void answer(Channel& channel, uint32_t id, PyObject* value) {
  std::string body, type_name;
  switch (encode(value, body, type_name)) {
    case EncodeResult::kOk:
      channel.write(FrameType::kValue, id, body);
      break;
    case EncodeResult::kForeignType: {
      std::string reason;
      encode_text(type_name, 200, reason);
      channel.write(FrameType::kUnserialisable, id, reason);
      break;
    }
    case EncodeResult::kTooLarge:
      channel.write(FrameType::kTooLarge, id, "N");
      break;
  }
}

void answer_raised(Channel& channel, FrameType type, uint32_t id, const char* file) {
  const std::string body = take_exception(file);
  channel.write(type, id, body);
}

PyObject* compile_source(PyObject* source, const char* file, const char* start) {
  // Null bytes and lone surrogates are for compile() to refuse.
  PyObject* builtin_compile = PyDict_GetItemString(PyEval_GetBuiltins(), "compile");
  return PyObject_CallFunction(builtin_compile, "Oss", source, file, start);
}

bool run_source(PyObject* source, const char* file, PyObject* dict) {
  PyObject* code = compile_source(source, file, "exec");
  PyObject* result = code ? PyEval_EvalCode(code, dict, dict) : nullptr;
  Py_XDECREF(code);
  Py_XDECREF(result);
  return result != nullptr;
}

// Runs the statements, then gives the value of the expression.
PyObject* evaluate(PyObject* statements, PyObject* expression, PyObject* dict) {
  if (!run_source(statements, "<test>", dict)) return nullptr;
  PyObject* code = compile_source(expression, "<test>", "eval");
  return code ? PyEval_EvalCode(code, dict, dict) : nullptr;
}

PyObject* call_entry(const EntryPoint& entry, PyObject* args, PyObject* kwargs) {
  PyObject* function = entry.bind();
  PyObject* value = function ? PyObject_Call(function, args, kwargs) : nullptr;
  Py_XDECREF(function);
  return value;
}

// Calls `entry` with the (args, kwargs) of each kCall frame, or evaluates its (statements,
// expression) in the code's dict.
void answer_calls(Channel& channel, const EntryPoint& entry) {
  InFrame frame;
  while (channel.read(frame) && frame.type == FrameType::kCall) {
    PyObject* call = decode(frame.body);
    PyObject* value = nullptr;
    if (call && PyTuple_CheckExact(call) && PyTuple_GET_SIZE(call) == 2) {
      PyObject* first = PyTuple_GET_ITEM(call, 0);
      PyObject* second = PyTuple_GET_ITEM(call, 1);
      value = PyTuple_CheckExact(first) ? call_entry(entry, first, second)
                                        : evaluate(first, second, entry.dict());
    }
    if (value) {
      answer(channel, frame.id, value);
      Py_DECREF(value);
    } else {
      answer_raised(channel, FrameType::kRaised, frame.id, kCandidateFile);
    }
    PyErr_Clear();
    Py_XDECREF(call);
  }
}

// Setup, then code.
bool run_sources(const Job& job, PyObject* dict) {
  for (const Py_ssize_t field : {1, 0}) {
    PyObject* source = job.field(field);
    if (PyUnicode_GET_LENGTH(source) > 0 && !run_source(source, kCandidateFile, dict)) return false;
  }
  return true;
}

// Loads setup and code; says so on the channel.
bool load(Channel& channel, const Job& job, PyObject* dict) {
  const bool ok = run_sources(job, dict);
  if (!ok) answer_raised(channel, FrameType::kLoadFailed, 0, kCandidateFile);
  return ok;
}

Channel* outside = nullptr;

// One request to the outside, whose reply is (True, value) or (False, what `error` says). Takes the
// reference to what is asked, which may be null with an exception set.
PyObject* ask_outside(PyObject* asked, PyObject* error) {
  std::string body, type_name;
  if (!asked) return nullptr;
  const bool is_plain = encode(asked, body, type_name) == EncodeResult::kOk;
  Py_DECREF(asked);
  if (!is_plain) return PyErr_Format(PyExc_TypeError, "expected plain data only");
  outside->write(FrameType::kRequest, 0, body);
  InFrame frame;
  if (!outside->read(frame)) _exit(4);
  PyObject* reply = decode(frame.body);
  PyObject* good = reply ? PyTuple_GET_ITEM(reply, 0) : nullptr;
  PyObject* value = reply ? PyTuple_GET_ITEM(reply, 1) : nullptr;
  if (good == Py_True) {
    Py_INCREF(value);
  } else if (reply) {
    PyErr_SetObject(error, value);
    value = nullptr;
  }
  Py_XDECREF(reply);
  return value;
}

// A tool's way to the network: the outside asks, and only hosts that the user names.
PyObject* http(PyObject*, PyObject* args, PyObject* kwargs) {
  const char* names[] = {"url", "data", "headers", nullptr};
  PyObject *url = nullptr, *data = Py_None, *headers = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|OO:http", const_cast<char**>(names), &url,
                                   &data, &headers)) {
    return nullptr;
  }
  return ask_outside(PyTuple_Pack(3, url, data, headers), PyExc_ConnectionError);
}

PyMethodDef http_method = {
    "http", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(http)),
    METH_VARARGS | METH_KEYWORDS,
    "http(url, data=None, headers=None): the body of the answer, by POST where there is data."};

int run_call(Channel& channel, const Job& job, bool may_ask) {
  PyObject* dict = make_namespace("candidate");
  if (may_ask) {
    outside = &channel;
    PyObject* function = PyCFunction_New(&http_method, nullptr);
    if (!function || PyDict_SetItemString(dict, "http", function) != 0) _exit(kBadJob);
  }
  if (!load(channel, job, dict)) return 0;
  EntryPoint entry(dict, job.field(2));
  if (!entry.find()) {
    channel.write(FrameType::kNoEntry, 0, "N");
    return 0;
  }
  channel.write(FrameType::kLoaded, 0, "N");
  answer_calls(channel, entry);
  return 0;
}

int run_inproc(Channel& channel, const Job& job) {
  PyObject* dict = make_namespace("candidate");
  if (!load(channel, job, dict)) return 0;
  channel.write(FrameType::kLoaded, 0, "N");
  InFrame frame;
  while (channel.read(frame) && frame.type == FrameType::kCall) {
    PyObject* source = decode(frame.body);
    if (source && run_source(source, "<test>", dict)) {
      channel.write(FrameType::kValue, frame.id, "N");
    } else {
      answer_raised(channel, FrameType::kRaised, frame.id, kCandidateFile);
    }
  }
  return 0;
}

// The exception at hand, told to the outside before any guest code (an excepthook, a __str__) runs;
// then Python's own end of a program: SystemExit exits here with its code, the rest is printed.
void end_by_exception(Channel& channel) {
  if (!PyErr_ExceptionMatches(PyExc_SystemExit)) {
    PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
    PyErr_Fetch(&type, &value, &trace);
    Py_XINCREF(type);
    Py_XINCREF(value);
    Py_XINCREF(trace);
    PyErr_Restore(type, value, trace);
    answer_raised(channel, FrameType::kLoadFailed, 0, kCandidateFile);
    PyErr_Restore(type, value, trace);
  }
  PyErr_Print();
}

// As `python program.py`: statuses, printing and the order of the end are CPython's.
int run_stdio(Channel& channel, const Job& job) {
  PyObject* module = make_module("__main__");
  PyObject* dict = PyModule_GetDict(module);
  Py_DECREF(module);  // sys.modules is to hold it alone: finalisers run while its names are there
  const bool ok = run_sources(job, dict);
  if (!ok) end_by_exception(channel);
  // Joins threads, runs atexit, flushes.
  if (Py_FinalizeEx() != 0) return kNotFlushed;
  return ok ? 0 : 1;
}

PyObject* candidate_error = nullptr;

// The checker's proxy: one call of the candidate, which runs in another process.
PyObject* call_candidate(PyObject*, PyObject* args, PyObject* kwargs) {
  PyObject* no_kwargs = kwargs ? nullptr : PyDict_New();
  PyObject* call = PyTuple_Pack(2, args, kwargs ? kwargs : no_kwargs);
  Py_XDECREF(no_kwargs);
  return ask_outside(call, candidate_error);
}

PyMethodDef candidate_method = {
    "candidate", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_candidate)),
    METH_VARARGS | METH_KEYWORDS, "Calls the candidate in its own process."};

int run_checker(Channel& channel, const Job& job) {
  outside = &channel;
  PyObject* dict = make_namespace("checker");
  candidate_error = PyErr_NewException("checker.CandidateError", nullptr, nullptr);
  PyDict_SetItemString(dict, "CandidateError", candidate_error);
  if (!load(channel, job, dict)) return 0;
  PyObject* check = PyDict_GetItemString(dict, "check");
  if (!check) {
    channel.write(FrameType::kNoEntry, 0, "N");
    return 0;
  }
  channel.write(FrameType::kLoaded, 0, "N");
  PyObject* proxy = PyCFunction_New(&candidate_method, nullptr);
  InFrame frame;
  while (channel.read(frame) && frame.type == FrameType::kCall) {
    PyObject* test = decode(frame.body);
    PyObject* value = test ? PyObject_CallFunctionObjArgs(check, proxy, test, nullptr) : nullptr;
    if (value) {
      answer(channel, frame.id, value);
      Py_DECREF(value);
    } else {
      answer_raised(channel, FrameType::kRaised, frame.id, kCandidateFile);
    }
    PyErr_Clear();
  }
  return 0;
}

int run_builtin(Channel& channel, const Job& job) {
  PyObject* helpers = PyImport_ImportModule("_weft_helpers");
  PyObject* function = helpers ? PyObject_GetAttr(helpers, job.field(0)) : nullptr;
  if (!function) _exit(kBadJob);
  channel.write(FrameType::kLoaded, 0, "N");
  answer_calls(channel, EntryPoint(function));
  return 0;
}

int run_workflow(Channel& channel, const Job& job) {
  set_workflow_channel(&channel);
  PyObject* runtime = PyImport_ImportModule("weft");
  PyObject* run = runtime ? PyObject_GetAttrString(runtime, "_run") : nullptr;
  if (!run) _exit(kBadJob);
  PyObject* dict = make_namespace("workflow");
  PyObject* args =
      PyTuple_Pack(6, dict, job.field(0), job.field(1), job.field(2), job.field(3), job.field(4));
  channel.write(FrameType::kLoaded, 0, "N");
  PyObject* value = args ? PyObject_Call(run, args, nullptr) : nullptr;
  if (value) {
    answer(channel, 0, value);
  } else {
    answer_raised(channel, FrameType::kRaised, 0, "<workflow>");
  }
  return 0;
}

// Takes the reference to the module.
void seed_module(PyObject* module, uint64_t seed) {
  PyObject* done = module ? PyObject_CallMethod(module, "seed", "K", seed) : nullptr;
  if (!done) _exit(kBadJob);
  Py_DECREF(done);
  Py_DECREF(module);
}

// numpy's generator too, where the zygote has it: it was seeded by the machine at its import.
void seed_random(uint64_t seed) {
  seed_module(PyImport_ImportModule("random"), seed);
  PyObject* name = PyUnicode_FromString("numpy.random");
  PyObject* numpy_random = name ? PyImport_GetModule(name) : nullptr;
  Py_XDECREF(name);
  if (numpy_random) seed_module(numpy_random, seed & UINT32_MAX);
}

}  // namespace

int run_child(ChildKind kind, uint64_t seed) {
  Channel channel;
  channel.write(FrameType::kLocked, 0, "N");
  InFrame frame;
  if (!channel.read(frame) || frame.type != FrameType::kJob) return kBadJob;
  seed_random(seed);
  const Job job(frame);
  switch (kind) {
    case ChildKind::kCall:
    case ChildKind::kTool:
      return run_call(channel, job, kind == ChildKind::kTool);
    case ChildKind::kInproc:
      return run_inproc(channel, job);
    case ChildKind::kStdio:
      return run_stdio(channel, job);
    case ChildKind::kChecker:
      return run_checker(channel, job);
    case ChildKind::kBuiltin:
      return run_builtin(channel, job);
    case ChildKind::kWorkflow:
      return run_workflow(channel, job);
  }
  return kBadJob;
}

}  // namespace weft::zygote
