/// The sandbox and what stands on it, started once for a test program.
#pragma once

#include "sandbox/facts/static_facts.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/judge/judge.h"
#include "workflow/meta_agent.h"

namespace weft::test {

struct Jail {
  Sandbox sandbox;
  Judge judge{sandbox};
  PythonAnalyser analyser{sandbox};
  MetaAgent agent{analyser};
};

inline Jail& jail() {
  static Jail jail;
  return jail;
}

}  // namespace weft::test
