#include "sandbox/sandbox.h"

#include <algorithm>

#include "base/error.h"
#include "sandbox/judge_run.h"
#include "sandbox/slot_pool.h"

namespace weft {
namespace {

// CPU time of kProbe's loop on the reference machine.
constexpr double kReferenceCpuUs = 12000;

// Tries what must fail; returns the names of what did not, and those of locks it found.
constexpr const char* kProbe = R"(
import os, socket

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
    must_fail('read /proc/self/environ', lambda: open('/proc/self/environ'))
    must_fail('write to /', lambda: open('/weft', 'w'))
    must_fail('socket', lambda: socket.socket())
    must_fail('fork', lambda: os.fork() or os._exit(0))
    must_fail('execve', lambda: os.execve('/lib/ld.so', ['x'], {}))
    must_fail('kill', lambda: os.kill(1, 0))
    must_fail('setuid', lambda: os.setuid(0))
    must_fail('chroot', lambda: os.chdir('/root'))
    if os.environ:
        holes.append('environment')
    if os.getppid() not in (0, 1):
        holes.append('process ids')
    return holes

def spin():
    total = 0
    for i in range(200000):
        total += i * i % 7
    return total
)";

Verdict run_probe(ZygoteProcess& zygote, const JudgeRequest& request, PythonValue expected) {
  PreparedRequest prepared{request, {}, 4.0};
  PreparedTest test;
  PythonValue no_kwargs;
  no_kwargs.kind = PythonValue::Kind::kDict;
  test.call = PythonValue::tuple({PythonValue::tuple({}), no_kwargs});
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
  const Verdict verdict = run_probe(zygote, request, PythonValue::integer(1));
  if (verdict.tests[0].verdict != expected) {
    throw Error(std::string("sandbox: self-test \"") + what + "\" failed, got " +
                verdict.tests[0].name() + "; the sandbox refuses to serve");
  }
}

void self_test(ZygoteProcess& zygote) {
  const auto request = probe_request(kProbe, "probe");
  const Verdict verdict = run_probe(zygote, request, PythonValue::list({}));
  if (verdict.tests[0].verdict != TestVerdict::kPass) {
    throw Error("sandbox: self-test of the locks failed: " + verdict.tests[0].name() + " " +
                verdict.tests[0].got + verdict.tests[0].error_message +
                "; the sandbox refuses to serve");
  }
  expect_verdict(zygote, "exit is no pass", "import os\nos._exit(0)", TestVerdict::kError);
  expect_verdict(zygote, "an always equal object is no pass",
                 "class E:\n  def __eq__(self, o): return True\ndef f(): return E()",
                 TestVerdict::kUnserialisable);
  expect_verdict(zygote, "a forged frame is no pass",
                 "import os\ndef f():\n  os.write(3, b'forged' * 10)\n  return 1",
                 TestVerdict::kProtocol);
}

double measure_time_scale(ZygoteProcess& zygote) {
  auto request = probe_request(kProbe, "spin");
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

}  // namespace

Sandbox::Sandbox(SandboxOptions options) : options_(std::move(options)) {
  slots_ = std::make_unique<SlotPool>(options_);
  auto lease = slots_->acquire(SlotPool::Use::kCandidate);
  self_test(lease.zygote());
  slots_->set_time_scale(measure_time_scale(lease.zygote()));
}

Sandbox::~Sandbox() = default;

std::string Sandbox::tier() const { return slots_->tier(); }

double Sandbox::time_scale() const { return slots_->time_scale(); }

}  // namespace weft
