#include "sandbox/jail/self_test.h"

#include <algorithm>

#include "base/error.h"
#include "sandbox/jail/single_call.h"

namespace weft {
namespace {

// CPU time of kSpin on the reference machine.
constexpr double kReferenceCpuUs = 12000;

constexpr const char* kSpin = R"(
def spin():
    total = 0
    for i in range(200000):
        total += i * i % 7
    return total
)";

// Tries what must fail; returns the names of what did not.
constexpr const char* kProbe = R"(
import os, _socket

def attempt(action):
    try:
        action()
    except OSError:
        return False
    return True

def probe():
    holes = []
    def must_fail(name, action):
        if attempt(action):
            holes.append(name)
    must_fail('read /etc/passwd', lambda: open('/etc/passwd'))
    must_fail('list /root', lambda: os.listdir('/root'))
    must_fail('read /proc/self/environ', lambda: open('/proc/self/environ'))
    must_fail('read /proc/1/cmdline', lambda: open('/proc/1/cmdline'))
    must_fail('write to /', lambda: open('/weft', 'w'))
    for family in (_socket.AF_INET, _socket.AF_INET6, _socket.AF_UNIX, _socket.AF_NETLINK):
        must_fail('socket', lambda: _socket.socket(family))
    must_fail('fork', lambda: os.fork() or os._exit(0))
    must_fail('execve', lambda: os.execve('/lib/ld.so', ['x'], {}))
    for pid in (1, -1, 0, os.getppid()):
        must_fail('kill', lambda: os.kill(pid, 0))
    must_fail('setuid', lambda: os.setuid(0))
    if os.environ:
        holes.append('environment')
    return holes
)";

// The kernel must count the processes of the jail's user.
constexpr const char* kForks = R"(
import os, time

def forks(most):
    for count in range(100):
        try:
            if os.fork() == 0:
                time.sleep(60)
        except BlockingIOError:
            return count <= most
    return False
)";

struct Probe {
  const char* code;
  const char* entry_point;
  int64_t max_procs = 0;
};

PythonValue job_of(const Probe& probe) {
  return PythonValue::tuple(
      {PythonValue::str(probe.code), PythonValue::str(""), PythonValue::str(probe.entry_point)});
}

// Of times on a machine of unknown speed.
constexpr double kGenerousTimes = 4.0;

CallResult run_probe(ZygoteProcess& zygote, const Probe& probe, std::vector<PythonValue> args) {
  JobSpec spec;
  spec.cpu_seconds = 60;
  spec.max_procs = probe.max_procs;
  return call_once(zygote, spec, limits_of(Limits{}, kGenerousTimes), job_of(probe),
                   std::move(args));
}

std::string outcome_of(const CallResult& result) {
  return result.value ? python_literal(*result.value, 500) : result.failure();
}

void expect_end(ZygoteProcess& zygote, const char* what, const char* code, TestVerdict expected) {
  const CallResult result = run_probe(zygote, {code, "f"}, {});
  if (result.value || result.end.verdict != expected) {
    throw Error(std::string("sandbox: self-test \"") + what + "\" failed, got " +
                outcome_of(result) + "; the sandbox refuses to serve");
  }
}

void check_fork_limit(ZygoteProcess& zygote, const std::string& tier) {
  const Probe probe{kForks, "forks", 4};
  const int64_t most = tier == "A" ? probe.max_procs : 80;
  const CallResult result = run_probe(zygote, probe, {PythonValue::integer(most)});
  if (outcome_of(result) != "True") {
    throw Error("sandbox: self-test \"the fork limit holds\" failed, got " + outcome_of(result) +
                "; are jailed processes mapped to uid 0? The sandbox refuses to serve");
  }
}

}  // namespace

void self_test(ZygoteProcess& zygote, const std::string& tier) {
  const CallResult result = run_probe(zygote, {kProbe, "probe"}, {});
  if (outcome_of(result) != "[]") {
    throw Error("sandbox: self-test of the locks failed: " + outcome_of(result) +
                "; the sandbox refuses to serve");
  }
  if (tier != "C") check_fork_limit(zygote, tier);
  expect_end(zygote, "exit is no pass", "import os\nos._exit(0)", TestVerdict::kExit);
  expect_end(zygote, "an always equal object is no pass",
             "class E:\n  def __eq__(self, o): return True\ndef f(): return E()",
             TestVerdict::kUnserialisable);
  expect_end(zygote, "a forged frame is no pass",
             "import os\ndef f():\n  os.write(3, b'forged' * 10)\n  return 1",
             TestVerdict::kProtocol);
}

double measure_time_scale(ZygoteProcess& zygote) {
  const Probe probe{kSpin, "spin"};
  double best = 1e12;
  for (int i = 0; i < 2; ++i) {
    JobSpec spec;
    spec.cpu_seconds = 60;
    JobRun run(zygote, spec, limits_of(Limits{}, kGenerousTimes));
    run.send(make_frame(FrameType::kJob, 0, job_of(probe)));
    PythonValue no_kwargs;
    no_kwargs.kind = PythonValue::Kind::kDict;
    Frame frame;
    run.next(frame);
    const int64_t before = run.cpu_now_us();
    run.send(
        make_frame(FrameType::kCall, 0, PythonValue::tuple({PythonValue::tuple({}), no_kwargs})));
    run.next(frame);
    best = std::min(best, static_cast<double>(run.cpu_now_us() - before));
  }
  return std::clamp(best / kReferenceCpuUs, 1.0, 8.0);
}

}  // namespace weft
