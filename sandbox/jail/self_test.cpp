#include "sandbox/jail/self_test.h"

#include <algorithm>

#include "base/error.h"
#include "sandbox/judge/judge_run.h"

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

Verdict run_probe(ZygoteProcess& zygote, const JudgeRequest& request, std::vector<PythonValue> args,
                  PythonValue expected) {
  PreparedRequest prepared{request, {}, 4.0};
  PreparedTest test;
  PythonValue no_kwargs;
  no_kwargs.kind = PythonValue::Kind::kDict;
  test.call = PythonValue::tuple({PythonValue::tuple(std::move(args)), no_kwargs});
  test.expected = std::move(expected);
  prepared.tests.push_back(std::move(test));
  Verdict verdict;
  verdict.tests.resize(1);
  run_calls(prepared, zygote, verdict);
  return verdict;
}

JudgeRequest probe_request(const char* code, const char* entry_point) {
  JudgeRequest request;
  request.code = code;
  request.entry_point = entry_point;
  request.tests.resize(1);
  return request;
}

void expect_verdict(ZygoteProcess& zygote, const char* what, const char* code,
                    TestVerdict expected) {
  const auto request = probe_request(code, "f");
  const Verdict verdict = run_probe(zygote, request, {}, PythonValue::integer(1));
  if (verdict.tests[0].verdict != expected) {
    throw Error(std::string("sandbox: self-test \"") + what + "\" failed, got " +
                verdict.tests[0].name() + "; the sandbox refuses to serve");
  }
}

void check_fork_limit(ZygoteProcess& zygote, const std::string& tier) {
  auto request = probe_request(kForks, "forks");
  request.limits.max_procs = 4;
  const int64_t most = tier == "A" ? request.limits.max_procs : 80;
  const Verdict verdict =
      run_probe(zygote, request, {PythonValue::integer(most)}, PythonValue::boolean(true));
  if (verdict.tests[0].verdict != TestVerdict::kPass) {
    throw Error("sandbox: self-test \"the fork limit holds\" failed, got " +
                verdict.tests[0].name() + " " + verdict.tests[0].got +
                "; are jailed processes mapped to uid 0? The sandbox refuses to serve");
  }
}

}  // namespace

void self_test(ZygoteProcess& zygote, const std::string& tier) {
  const auto request = probe_request(kProbe, "probe");
  const Verdict verdict = run_probe(zygote, request, {}, PythonValue::list({}));
  if (verdict.tests[0].verdict != TestVerdict::kPass) {
    throw Error("sandbox: self-test of the locks failed: " + verdict.tests[0].name() + " " +
                verdict.tests[0].got + verdict.tests[0].error_message +
                "; the sandbox refuses to serve");
  }
  if (tier != "C") check_fork_limit(zygote, tier);
  expect_verdict(zygote, "exit is no pass", "import os\nos._exit(0)", TestVerdict::kExit);
  expect_verdict(zygote, "an always equal object is no pass",
                 "class E:\n  def __eq__(self, o): return True\ndef f(): return E()",
                 TestVerdict::kUnserialisable);
  expect_verdict(zygote, "a forged frame is no pass",
                 "import os\ndef f():\n  os.write(3, b'forged' * 10)\n  return 1",
                 TestVerdict::kProtocol);
}

double measure_time_scale(ZygoteProcess& zygote) {
  auto request = probe_request(kSpin, "spin");
  double best = 1e12;
  for (int i = 0; i < 2; ++i) {
    const JobLimits limits = limits_of(request.limits, 4.0);
    JobRun run(zygote, spec_of(request, ChildKind::kCall), limits);
    run.send(make_frame(FrameType::kJob, 0, job_of(request)));
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
