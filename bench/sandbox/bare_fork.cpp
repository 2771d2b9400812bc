// bare_fork: what a candidate costs with no isolation at all, for comparison. A warm interpreter
// forks for each job that it reads (u32 length, Python text that defines f) and the child answers
// with f(2) as an i64, which goes to standard output.
#include <Python.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>

namespace {

bool read_all(int fd, void* data, size_t size) {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t got = read(fd, at, size);
    if (got <= 0) return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

[[noreturn]] void run_job(const std::string& code, int out) {
  PyObject* globals = PyModule_GetDict(PyImport_AddModule("__main__"));
  PyObject* loaded = PyRun_String(code.c_str(), Py_file_input, globals, globals);
  PyObject* f = loaded ? PyDict_GetItemString(globals, "f") : nullptr;
  PyObject* value = f ? PyObject_CallFunction(f, "i", 2) : nullptr;
  const int64_t answer = value ? PyLong_AsLongLong(value) : -1;
  _exit(write(out, &answer, sizeof answer) == sizeof answer ? 0 : 1);
}

bool answer_job(const std::string& code) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  PyOS_BeforeFork();
  const pid_t pid = fork();
  if (pid == 0) {
    PyOS_AfterFork_Child();
    run_job(code, ends[1]);
  }
  PyOS_AfterFork_Parent();
  close(ends[1]);
  int64_t answer = -1;
  const bool ok = pid > 0 && read_all(ends[0], &answer, sizeof answer);
  close(ends[0]);
  return ok && waitpid(pid, nullptr, 0) == pid && write(1, &answer, sizeof answer) == sizeof answer;
}

}  // namespace

int main() {
  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  config.site_import = 0;
  const PyStatus status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status)) return 1;
  // As in a slot for candidates of few imports.
  if (PyRun_SimpleString(
          "import math,random,collections,itertools,functools,operator,heapq,bisect\n"
          "import gc\ngc.collect()\ngc.freeze()\n") != 0) {
    return 1;
  }
  uint32_t size = 0;
  while (read_all(0, &size, sizeof size)) {
    std::string code(size, '\0');
    if (!read_all(0, code.data(), size) || !answer_job(code)) return 1;
  }
  return 0;
}
