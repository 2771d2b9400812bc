/// What can be said about Python text without running it, by CPython's own parser in the jail.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/jail/sandbox.h"

namespace weft {

/// Something that a workflow may not hold.
struct Refusal {
  int line = 0;
  std::string what;  ///< "exec is not allowed", "a handler catches every exception"
};

struct StaticFacts {
  bool parses = false;
  std::string syntax_error;  ///< "message (line 3)" when it does not parse
  int64_t num_nodes = 0;     ///< AST nodes, contexts (Load, Store, Del) and docstrings left out
  int64_t num_distinct_nodes = 0;  ///< by (type, operator or called name, prompt text's hash)
  int64_t num_calls = 0;
  int depth = 0;                     ///< of the AST; the module is 1
  std::vector<std::string> imports;  ///< dotted modules, sorted, each once; those reached as an
                                     ///< attribute (typing.sys) count as imported
  std::vector<int> import_lines;     ///< first line of each
  /// By line, at most 20: whatever runs text as code or reaches an attribute by a text (exec,
  /// getattr, globals, dunder attributes, private names of modules, other names for these or for
  /// a module, metaclasses), and handlers that catch every exception in any disguise. What is not
  /// allowed is refused wherever it stands, called or not; methods of these names are.
  std::vector<Refusal> refusals;
  bool has_workflow_class = false;        ///< a top-level `class Workflow`
  bool has_async_call = false;            ///< in it, `async def __call__`
  bool has_contract_init = false;         ///< and `__init__(self, name, llm_config, dataset)`
  bool call_returns = false;              ///< nothing can run behind the end of its __call__
  std::vector<std::string> names_called;  ///< last part of each called name, sorted, each once
  std::vector<std::string> strings;       ///< string constants, no docstrings, parts of f-strings
  int64_t code_bytes = 0;
  /// Hex hash of the exact AST without positions, comments and docstrings. Local names count.
  std::string ast_hash;
};

/// How far two programs are apart, by their ASTs: comments, docstrings, positions and imports at
/// the top do not count. Lists of statements are aligned by a longest common subsequence; what is
/// left between two aligned statements is one place, its size the longer side's number of
/// statements. Where as many statements stand as before, a compound one in the place of another of
/// its type is compared in itself: its head is one place of one statement, its blocks are compared
/// likewise.
struct EditExtent {
  int64_t places = 0;
  int64_t statements = 0;
};

/// Thread-safe.
class PythonAnalyser {
 public:
  explicit PythonAnalyser(Sandbox& sandbox) : sandbox_(sandbox) {}

  /// Never runs `code`. Text on which the parser itself fails (time, memory, crash) does not parse
  /// and says so in `syntax_error`. Throws Error when the sandbox fails twice.
  StaticFacts facts(const std::string& code);

  /// None when one of them does not parse, or is too large to be compared. Throws as facts().
  std::optional<EditExtent> compare(const std::string& before, const std::string& after);

 private:
  Sandbox& sandbox_;
};

}  // namespace weft
