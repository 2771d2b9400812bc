#include "sandbox/zygote/interpreter.h"

#include <Python.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "sandbox/zygote/codec.h"
#include "sandbox/zygote/embedded.h"
#include "sandbox/zygote/known_types.h"
#include "sandbox/zygote/workflow_module.h"

namespace weft::zygote {
namespace {

void check(const PyStatus& status, const char* step) {
  if (!PyStatus_Exception(status)) return;
  errno = ENOENT;
  throw JailError(std::string(step) + ": " + (status.err_msg ? status.err_msg : "failed"));
}

void initialise(const JailOptions& options) {
  PyPreConfig preconfig;
  PyPreConfig_InitIsolatedConfig(&preconfig);
  preconfig.utf8_mode = 1;
  preconfig.allocator = PYMEM_ALLOCATOR_DEFAULT;
  check(Py_PreInitialize(&preconfig), "preinitialise Python");

  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  config.site_import = 0;
  config.write_bytecode = 0;
  config.install_signal_handlers = 0;
  config.use_hash_seed = 1;
  config.hash_seed = options.hash_seed;
  config.module_search_paths_set = 1;
  const std::string stdlib = WEFT_PYTHON_STDLIB;
  std::vector<std::string> paths = {stdlib, stdlib + "/lib-dynload"};
  if (!options.packages.empty()) {
    paths.push_back(options.tier == "C" ? options.packages : kPackages);
  }
  for (const std::string& path : paths) {
    wchar_t* wide = Py_DecodeLocale(path.c_str(), nullptr);
    check(PyWideStringList_Append(&config.module_search_paths, wide), "search path");
    PyMem_RawFree(wide);
  }
  for (wchar_t** field : {&config.executable, &config.base_executable, &config.prefix,
                          &config.exec_prefix, &config.base_prefix, &config.base_exec_prefix}) {
    check(PyConfig_SetString(&config, field, L""), "path settings");
  }
  const PyStatus status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  check(status, "initialise Python");
}

[[noreturn]] void throw_python_error(const std::string& step) {
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyObject* text = value ? PyObject_Str(value) : nullptr;
  const std::string message = text ? utf8_of(text, 200) : "";
  errno = 0;
  throw JailError(step + ": " + message);
}

void run_trusted(const std::string& source, const char* step) {
  PyObject* main = PyModule_GetDict(PyImport_AddModule("__main__"));
  PyObject* result = PyRun_String(source.c_str(), Py_file_input, main, main);
  if (!result) throw_python_error(step);
  Py_DECREF(result);
}

void add_module(const char* name, std::string_view source) {
  const std::string text(source);
  PyObject* code = Py_CompileString(text.c_str(), name, Py_file_input);
  PyObject* module = code ? PyImport_ExecCodeModule(name, code) : nullptr;
  Py_XDECREF(code);
  if (!module) throw_python_error(std::string("import of ") + name);
  Py_DECREF(module);
}

bool has_module(const std::string& modules, const std::string& name) {
  return (',' + modules + ',').find(',' + name + ',') != std::string::npos;
}

constexpr const char* kBeforeImports = R"(
import os, sys
_register = getattr(os, 'register_at_fork')
os.register_at_fork = lambda **hooks: None
)";

// `exit` and `quit` exist in ordinary programs through `site`, which is not imported here.
constexpr const char* kAfterImports = R"(
import builtins, gc, threading, random
os.register_at_fork = _register
builtins.exit = builtins.quit = sys.exit
threading.stack_size(8 << 20)
compile('def f(x: int = 0):\n  return [i for i in (x,) if i]\n', '<warm>', 'exec')
del _register, os, sys, builtins, threading, random
gc.collect()
gc.freeze()
del gc
)";

}  // namespace

void start_interpreter(const JailOptions& options, const std::string& modules) {
  if (options.workflows) register_workflow_module();
  initialise(options);
  // After os.environ was made, which stays empty. Threads of a library would not survive the fork.
  for (const char* name : {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"}) {
    setenv(name, "1", 1);
  }
  run_trusted(kBeforeImports, "prepare imports");
  if (!modules.empty()) run_trusted("import " + modules, "imports");
  remember_types();
  if (!options.bare) {
    add_module("_weft_rules", rules_source());
    add_module("_weft_helpers", helpers_source());
  }
  if (has_module(modules, "sympy")) add_module("_weft_math", math_source());
  if (options.workflows) {
    add_module("weft", workflow_source());
    run_trusted("import weft; weft._warm_up(); del weft", "warm-up of workflows");
  }
  run_trusted(kAfterImports, "after imports");
}

int fork_interpreter() {
  PyOS_BeforeFork();
  const pid_t pid = fork();
  if (pid == 0) {
    PyOS_AfterFork_Child();
  } else {
    PyOS_AfterFork_Parent();
  }
  return pid;
}

}  // namespace weft::zygote
