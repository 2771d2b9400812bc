/// Functions of a user's Python file that workflows call beside exec_code.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/task_files.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/trusted/trusted_queue.h"
#include "sandbox/trusted/web_access.h"
#include "sandbox/value/value.h"

namespace weft {

struct ToolOptions {
  std::string file;          ///< Python whose public functions, or those in TOOLS, are offered
  int max_calls = 32;        ///< of one workflow; more end it as a limit
  int64_t wall_ms = 10000;   ///< of one call, CPU time as well
  int64_t memory_mb = 1024;  ///< of one call
  std::vector<std::string> hosts = {};  ///< that they may ask by `http`, as of WebAccess

  template <class V>
  void visit(V& v) {
    v("file", file, "Python file of functions that workflows may call; empty: none");
    v("max_calls", max_calls, "calls of these of one workflow");
    v("wall_ms", wall_ms, "time of one call");
    v("memory_mb", memory_mb, "memory of one call");
    v("hosts", hosts, "servers that they may ask by http(url), as \"api.example.org\"");
  }
  void validate() const;  ///< throws InputError
};

struct Tool {
  std::string name;
  std::string signature;      ///< "(query, k=3)", as Python prints it
  std::string documentation;  ///< its docstring in one line, kMaxToolText bytes at most
};

struct ToolReply {
  std::optional<PythonValue> value;
  std::string fault;            ///< without a value: one line for the workflow to read
  std::string infra;            ///< the sandbox failed, twice
  bool met_time_limit = false;  ///< the fault is the clock's
};

constexpr size_t kMaxToolText = 500;

/// Thread-safe; borrows the sandbox, which must outlive it.
class ToolBox {
 public:
  /// Loads the file once. Throws InputError where it cannot be read or loaded, offers nothing, or
  /// has a function under a name that a workflow knows already.
  ToolBox(Sandbox& sandbox, const ToolOptions& options);

  const std::vector<Tool>& tools() const { return tools_; }
  bool has(const std::string& name) const;
  const ToolOptions& options() const { return options_; }

  /// A line each for a prompt: "- search(query, k=3): Finds ...".
  std::string text() const;

  struct Call {
    std::string name;
    std::vector<PythonValue> arguments;
    PythonValue keywords;  ///< a kDict
    TaskFiles files;       ///< of the task, in the function's working folder
    std::shared_ptr<const std::atomic<bool>> cancelled;
  };
  /// Returns at once; `done` is called exactly once on a thread of the box's. Each call loads the
  /// file in a process of its own.
  void call(Call call, std::function<void(ToolReply)> done) const;

 private:
  ToolReply run(const Call& call) const;

  Sandbox& sandbox_;
  const ToolOptions options_;
  const std::string source_;
  std::vector<Tool> tools_;
  const std::optional<WebAccess> web_;
  mutable TrustedQueue queue_;  // ends first: its work uses the others
};

}  // namespace weft
