/// What can be said about Python text without running it, by CPython's own parser in the jail.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace weft {

struct StaticFacts {
  bool parses = false;
  std::string syntax_error;  ///< "message (line 3)" when it does not parse
  int64_t num_nodes = 0;     ///< AST nodes, contexts (Load, Store, Del) and docstrings left out
  int64_t num_distinct_nodes = 0;  ///< by (type, operator or called name, prompt text's hash)
  int64_t num_calls = 0;
  int depth = 0;                          ///< of the AST; the module is 1
  std::vector<std::string> imports;       ///< dotted modules, sorted, each once
  bool has_catch_all = false;             ///< `except:`, `except Exception`, `except BaseException`
  bool has_workflow_class = false;        ///< a top-level `class Workflow`
  bool has_async_call = false;            ///< in it, `async def __call__`
  std::vector<std::string> names_called;  ///< last part of each called name, sorted, each once
  int64_t code_bytes = 0;
  /// Hex hash of the exact AST without positions, comments and docstrings. Local names count.
  std::string ast_hash;
};

/// Thread-safe.
class PythonAnalyser {
 public:
  explicit PythonAnalyser(Sandbox& sandbox) : sandbox_(sandbox) {}

  /// Never runs `code`. Text on which the parser itself fails (time, memory, crash) does not parse
  /// and says so in `syntax_error`. Throws Error when the sandbox fails twice.
  StaticFacts facts(const std::string& code);

 private:
  Sandbox& sandbox_;
};

}  // namespace weft
