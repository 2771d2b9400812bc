/// Whether two answers of mathematics are equal as expressions, by SymPy in the sandbox.
#pragma once

#include "data/scorers/math_value.h"
#include "sandbox/jail/sandbox.h"

namespace weft {

enum class SymbolicAnswer {
  kEqual,
  kUnequal,  ///< also where SymPy cannot read one of them
  kLimit,    ///< no answer within 2 s of CPU time and 256 MB
};

/// Whether the sandbox's packages hold SymPy.
bool has_symbols(Sandbox& sandbox);

/// Blocks for a free slot and the run, in a process of its own: what a text does to SymPy ends with
/// it. Thread-safe. Throws Error where the sandbox fails, and without SymPy.
SymbolicAnswer ask_symbols(Sandbox& sandbox, const SymbolicQuestion& question);

}  // namespace weft
