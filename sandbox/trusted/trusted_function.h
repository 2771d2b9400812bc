/// A function of a user's Python file, run in the sandbox as their own code: trusted to say the
/// truth, held to limits all the same.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "data/task_files.h"
#include "sandbox/jail/limits.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/trusted/web_access.h"
#include "sandbox/value/value.h"

namespace weft {

/// Thread-safe; borrows the sandbox, which must outlive it.
class TrustedFunction {
 public:
  /// `source` is the file's text, which may import what the sandbox has; `name` the function's.
  /// `files` lie read-only in its working folder.
  TrustedFunction(Sandbox& sandbox, std::string source, std::string name, Limits limits,
                  TaskFiles files = nullptr);

  struct Reply {
    std::optional<PythonValue> value;
    std::string
        fault;  ///< without a value, one line: the exception and where, the limit, what is no data
    bool met_time_limit = false;
  };

  /// Loads the file and calls the function, in a process of its own: no call sees another's state.
  /// Blocks for a free slot and the run, which ends early once `cancelled` is set. With `web` the
  /// file has a function `http(url, data=None, headers=None)`. Throws Error where the sandbox
  /// fails, twice.
  Reply call(const std::vector<PythonValue>& arguments, const PythonValue& keywords = {},
             const std::atomic<bool>* cancelled = nullptr, const WebAccess* web = nullptr) const;

 private:
  Sandbox& sandbox_;
  const std::string source_, name_;
  const Limits limits_;
  const TaskFiles files_;
};

}  // namespace weft
