/// What the sandbox's tests share.
#pragma once

#include <set>
#include <string>

#include "sandbox/jail/sandbox.h"
#include "sandbox/judge/judge.h"
#include "tests/support/support.h"

namespace weft::test {

/// The built zygote, `num_slots` slots.
SandboxOptions sandbox_options(int num_slots = 1);

/// One sandbox for all cases of the program.
Sandbox& shared_sandbox();
Judge& shared_judge();

/// A call-mode request with short limits and no test yet.
JudgeRequest call_request(const std::string& code, const std::string& entry_point = "f");

/// {"args":[arg],"expected":expected}
Json call_test(Json arg, Json expected);

/// Text of tests/sandbox/hostile/NAME.py.
std::string hostile_program(const std::string& name);

/// Pids of all processes that descend from this one.
std::set<int> descendants();

int num_open_descriptors();

}  // namespace weft::test
