#include "sandbox/judge/judge_run.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

namespace weft {
namespace {

constexpr int kMaxRestarts = 2;
constexpr size_t kMaxGotBytes = 500;

TestResult make(TestVerdict verdict, std::string detail = {}) {
  TestResult result;
  result.verdict = verdict;
  result.detail = std::move(detail);
  return result;
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

TestResult judge_value(const PreparedTest& test, Mode mode, const PythonValue& value) {
  if (mode == Mode::kInproc || test.comparer.equal(value, test.expected)) {
    return make(TestVerdict::kPass);
  }
  TestResult result = make(TestVerdict::kWrong);
  result.got = python_literal(value, kMaxGotBytes);
  return result;
}

// One fork: tests from `first` on, until one ends it.
class CallAttempt {
 public:
  CallAttempt(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict,
              size_t first)
      : prepared_(prepared),
        verdict_(verdict),
        next_(first),
        mode_(prepared.request.mode),
        run_(zygote,
             spec_of(prepared.request,
                     mode_ == Mode::kInproc ? ChildKind::kInproc : ChildKind::kCall),
             prepared.limits()) {}

  /// True when the tests after `next()` may be tried in another fork.
  bool go();
  size_t next() const { return next_; }
  const JobRun& run() const { return run_; }

 private:
  bool handle(const Frame& frame);
  bool handle_answer(const Frame& frame);
  bool fail_rest(const TestResult& result);
  bool fail_one(const TestResult& result);

  const PreparedRequest& prepared_;
  Verdict& verdict_;
  size_t next_;
  Mode mode_;
  JobRun run_;
  bool loaded_ = false;
  bool more_ = true;
  bool resumable_ = false;
};

bool CallAttempt::fail_rest(const TestResult& result) {
  for (; next_ < prepared_.tests.size(); ++next_) verdict_.tests[next_] = result;
  return more_ = false;
}

bool CallAttempt::fail_one(const TestResult& result) {
  verdict_.tests[next_++] = result;
  resumable_ = result.verdict != TestVerdict::kProtocol && result.verdict != TestVerdict::kOutput &&
               result.verdict != TestVerdict::kSkipped;
  return more_ = false;
}

bool CallAttempt::handle_answer(const Frame& frame) {
  TestResult& result = verdict_.tests[next_];
  if (frame.type == FrameType::kValue) {
    const auto value = decode_value(frame.body);
    if (!value) return fail_one(make(TestVerdict::kProtocol));
    result = judge_value(prepared_.tests[next_], mode_, *value);
  } else {
    result = result_of_failure(frame);
    if (result.verdict == TestVerdict::kProtocol) return fail_one(result);
  }
  run_.restart_clock();
  more_ = ++next_ < prepared_.tests.size();
  return more_;
}

bool CallAttempt::handle(const Frame& frame) {
  if (!loaded_) {
    if (frame.type == FrameType::kLoaded) {
      loaded_ = true;
      run_.restart_clock();
      return true;
    }
    if (frame.type == FrameType::kLoadFailed || frame.type == FrameType::kNoEntry) {
      return fail_rest(result_of_failure(frame));
    }
    return fail_one(make(TestVerdict::kProtocol));
  }
  const bool is_answer = frame.type == FrameType::kValue || frame.type == FrameType::kRaised ||
                         frame.type == FrameType::kUnserialisable ||
                         frame.type == FrameType::kTooLarge;
  if (!is_answer || frame.id != next_) return fail_one(make(TestVerdict::kProtocol));
  return handle_answer(frame);
}

bool CallAttempt::go() {
  run_.send(make_frame(FrameType::kJob, 0, job_of(prepared_.request)));
  for (size_t i = next_; i < prepared_.tests.size(); ++i) {
    run_.send(make_frame(FrameType::kCall, static_cast<uint32_t>(i), prepared_.tests[i].call));
  }
  run_.send(make_frame(FrameType::kEnd, 0, PythonValue::none()));
  Frame frame;
  while (more_) {
    const auto event = run_.next(frame);
    if (event == JobRun::Event::kFrame) {
      handle(frame);
      continue;
    }
    const TestResult result = result_of_event(event, run_);
    loaded_ ? fail_one(result) : fail_rest(result);
  }
  run_.kill();
  if (run_.broken()) throw InfraError(run_.infra_reason());
  add_usage(run_, verdict_);
  return resumable_;
}

}  // namespace

JobSpec spec_of(const JudgeRequest& request, ChildKind kind) {
  JobSpec spec;
  spec.child = kind;
  spec.memory_mb = request.limits.memory_mb;
  spec.max_procs = request.limits.max_procs;
  spec.scratch_mb = request.limits.scratch_mb;
  const auto num_tests = static_cast<int64_t>(request.tests.size());
  spec.cpu_seconds = 2 + (1 + num_tests) * (request.limits.cpu_ms / 1000 + 1) * 8;
  return spec;
}

JobLimits limits_of(const Limits& limits, double time_scale) {
  return {static_cast<int64_t>(static_cast<double>(limits.cpu_ms) * 1000 * time_scale),
          static_cast<int64_t>(static_cast<double>(limits.wall_limit_ms()) * 1000 * time_scale),
          limits.output_bytes};
}

JobLimits PreparedRequest::limits() const {
  JobLimits limits = limits_of(request.limits, time_scale);
  limits.cancelled = request.cancelled.get();
  return limits;
}

PythonValue job_of(const JudgeRequest& request) {
  return PythonValue::tuple({PythonValue::str(request.code), PythonValue::str(request.setup),
                             PythonValue::str(request.entry_point)});
}

TestResult result_of_event(JobRun::Event event, const JobRun& run) {
  if (run.broken()) throw InfraError(run.infra_reason());
  if (event == JobRun::Event::kCancelled) return make(TestVerdict::kSkipped, "cancelled");
  // Nothing that guest code does can undo the frame that precedes it.
  if (!run.locked()) throw InfraError("a job could not lock itself");
  switch (event) {
    case JobRun::Event::kTimeCpu:
      return make(TestVerdict::kTimeCpu);
    case JobRun::Event::kTimeWall:
      return make(TestVerdict::kTimeWall);
    case JobRun::Event::kOutput:
      return make(TestVerdict::kOutput);
    case JobRun::Event::kProtocol:
      return make(TestVerdict::kProtocol);
    case JobRun::Event::kCancelled:
    case JobRun::Event::kInfra:
      throw InfraError(run.infra_reason());
    case JobRun::Event::kExited:
    case JobRun::Event::kFrame:
      break;
  }
  const int status = run.wait_status();
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGSYS) return make(TestVerdict::kPolicy);
    return make(TestVerdict::kSignal, std::to_string(WTERMSIG(status)));
  }
  return make(TestVerdict::kExit, std::to_string(WEXITSTATUS(status)));
}

TestResult result_of_failure(const Frame& frame) {
  if (frame.type == FrameType::kNoEntry) return make(TestVerdict::kNoEntry);
  const auto body = decode_value(frame.body);
  if (!body) return make(TestVerdict::kProtocol);
  if (frame.type == FrameType::kTooLarge) return make(TestVerdict::kUnserialisable, "too large");
  if (frame.type == FrameType::kUnserialisable) {
    return make(body->is_str() ? TestVerdict::kUnserialisable : TestVerdict::kProtocol,
                printable(body->text.substr(0, 200)));
  }
  const auto& items = body->items;
  if (items.size() != 3 || !items[0].is_str() || !items[1].is_str()) {
    return make(TestVerdict::kProtocol);
  }
  TestResult result =
      make(items[0].text == "MemoryError" ? TestVerdict::kMemory : TestVerdict::kError,
           printable(items[0].text.substr(0, 200)));
  result.error_message = items[1].text.substr(0, 1000);
  for (size_t i = 0; i < std::min<size_t>(items[2].items.size(), 8); ++i) {
    result.traceback.push_back(printable(items[2].items[i].text.substr(0, 400)));
  }
  return result;
}

void add_usage(const JobRun& run, Verdict& verdict) {
  verdict.cpu_ms += (run.cpu_us() + 500) / 1000;
  verdict.peak_mb = std::max(verdict.peak_mb, static_cast<double>(run.peak_kb()) / 1024);
}

void run_calls(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict) {
  size_t next = 0;
  for (int restarts = 0; restarts <= kMaxRestarts && next < prepared.tests.size(); ++restarts) {
    CallAttempt attempt(prepared, zygote, verdict, next);
    const bool resumable = attempt.go();
    next = attempt.next();
    if (!resumable) return;
  }
}

namespace {

// How a program's end and output are judged: by the status that the zygote was told, which no guest
// code can set but by ending so, then by what it printed. `raised` is what the program said of an
// exception that ended it; it only names the failure.
TestResult result_of_end(const JobRun& run, const std::optional<TestResult>& raised,
                         const PreparedTest& test) {
  const int status = run.wait_status();
  if (raised && WIFEXITED(status)) return *raised;
  if (status != 0) return result_of_event(JobRun::Event::kExited, run);
  if (test.output_comparer.equal(run.out(), test.output)) return make(TestVerdict::kPass);
  TestResult result = make(TestVerdict::kWrong);
  result.got = python_literal(PythonValue::str(run.out().substr(0, 2000)), kMaxGotBytes);
  return result;
}

TestResult run_test(const PreparedRequest& prepared, const PreparedTest& test, JobRun& run) {
  run.send(make_frame(FrameType::kJob, 0, job_of(prepared.request)));
  Frame frame;
  std::optional<TestResult> raised;
  for (;;) {
    const auto event = run.next(frame);
    if (event == JobRun::Event::kExited && run.locked()) return result_of_end(run, raised, test);
    if (event != JobRun::Event::kFrame) return result_of_event(event, run);
    if (frame.type != FrameType::kLoadFailed) return make(TestVerdict::kProtocol);
    raised = result_of_failure(frame);
  }
}

}  // namespace

void run_stdio(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict) {
  for (size_t i = 0; i < prepared.tests.size() && !prepared.request.is_cancelled(); ++i) {
    JobSpec spec = spec_of(prepared.request, ChildKind::kStdio);
    spec.input = prepared.tests[i].input;
    JobRun run(zygote, spec, prepared.limits());
    verdict.tests[i] = run_test(prepared, prepared.tests[i], run);
    run.kill();
    if (run.broken()) throw InfraError(run.infra_reason());
    add_usage(run, verdict);
  }
}

BuiltinResult call_once(ZygoteProcess& zygote, const JobSpec& spec, const JobLimits& limits,
                        const PythonValue& job, std::vector<PythonValue> args) {
  JobRun run(zygote, spec, limits);
  run.send(make_frame(FrameType::kJob, 0, job));
  PythonValue no_kwargs;
  no_kwargs.kind = PythonValue::Kind::kDict;
  run.send(make_frame(FrameType::kCall, 0,
                      PythonValue::tuple({PythonValue::tuple(std::move(args)), no_kwargs})));
  Frame frame;
  auto event = run.next(frame);
  if (event == JobRun::Event::kFrame) event = run.next(frame);  // after kLoaded
  BuiltinResult result;
  if (event != JobRun::Event::kFrame) {
    result.failure = result_of_event(event, run).name();
  } else if (frame.type == FrameType::kValue) {
    result.value = decode_value(frame.body);
    if (!result.value) result.failure = "PROTOCOL";
  } else {
    const TestResult failure = result_of_failure(frame);
    result.failure = failure.name() + " " + failure.error_message;
  }
  run.kill();
  if (run.broken()) throw InfraError(run.infra_reason());
  return result;
}

BuiltinResult run_builtin(ZygoteProcess& zygote, const std::string& name,
                          std::vector<PythonValue> args, double time_scale) {
  JobSpec spec;
  spec.child = ChildKind::kBuiltin;
  return call_once(zygote, spec, limits_of(Limits{}, time_scale),
                   PythonValue::tuple({PythonValue::str(name)}), std::move(args));
}

}  // namespace weft
