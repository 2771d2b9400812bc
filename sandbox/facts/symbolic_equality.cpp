#include "sandbox/facts/symbolic_equality.h"

#include <string>
#include <utility>
#include <vector>

#include "sandbox/jail/single_call.h"
#include "sandbox/jail/slot_pool.h"

namespace weft {
namespace {

/// (kind, brackets, parts), or a leaf's text, as runtime/math_symbols.py takes them.
PythonValue tree_of(const MathValue& value) {
  const char* kind = "tuple";
  switch (value.kind) {
    case MathValue::Kind::kLeaf:
      return PythonValue::str(value.leaf);
    case MathValue::Kind::kList:
      kind = "list";
      break;
    case MathValue::Kind::kUnion:
      kind = "union";
      break;
    case MathValue::Kind::kMatrix:
      kind = "matrix";
      break;
    case MathValue::Kind::kTuple:
      break;
  }
  std::vector<PythonValue> parts;
  for (const auto& part : value.parts) parts.push_back(tree_of(part));
  std::string brackets;
  if (value.open != 0) brackets = {value.open, value.close};
  return PythonValue::tuple(
      {PythonValue::str(kind), PythonValue::str(brackets), PythonValue::list(std::move(parts))});
}

bool is_limit(TestVerdict verdict) {
  return verdict == TestVerdict::kTimeCpu || verdict == TestVerdict::kTimeWall ||
         verdict == TestVerdict::kMemory;
}

}  // namespace

bool has_symbols(Sandbox& sandbox) { return sandbox.slots().packages().sympy; }

SymbolicAnswer ask_symbols(Sandbox& sandbox, const SymbolicQuestion& question) {
  if (!has_symbols(sandbox)) throw Error("the sandbox has no SymPy");
  const bool aflow = question.style == SymbolicQuestion::Style::kAflow;
  auto lease = sandbox.slots().acquire(SlotPool::Use::kCandidate, Flavour::kSympy);
  const CallResult result = SlotPool::run_retried(lease, [&] {
    return run_builtin(lease.zygote(), aflow ? "math_equal_by_aflow" : "math_values_equal",
                       {tree_of(question.prediction), tree_of(question.gold)},
                       sandbox.time_scale());
  });
  if (!result.value) {
    return is_limit(result.end.verdict) ? SymbolicAnswer::kLimit : SymbolicAnswer::kUnequal;
  }
  return value_to_json(*result.value) == Json(true) ? SymbolicAnswer::kEqual
                                                    : SymbolicAnswer::kUnequal;
}

}  // namespace weft
