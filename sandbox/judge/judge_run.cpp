#include "sandbox/judge/judge_run.h"

#include <sys/wait.h>

#include <algorithm>

#include "sandbox/jail/single_call.h"

namespace weft {
namespace {

constexpr size_t kMaxGotBytes = 500;

TestResult judge_value(const PreparedTest& test, Mode mode, const PythonValue& value) {
  if (mode == Mode::kInproc || test.comparer.equal(value, test.expected)) {
    return make_result(TestVerdict::kPass);
  }
  TestResult result = make_result(TestVerdict::kWrong);
  result.got = python_literal(value, kMaxGotBytes);
  return result;
}

// One fork: tests from `first` on, until one ends it.
class CallAttempt {
 public:
  CallAttempt(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict,
              size_t first, int64_t spent_us)
      : prepared_(prepared),
        verdict_(verdict),
        next_(first),
        mode_(prepared.request.mode),
        run_(zygote, prepared.spec(mode_ == Mode::kInproc ? ChildKind::kInproc : ChildKind::kCall),
             prepared.limits(spent_us)) {}

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
               result.verdict != TestVerdict::kSkipped && !prepared_.request.stop_at_first_failure;
  return more_ = false;
}

bool CallAttempt::handle_answer(const Frame& frame) {
  TestResult& result = verdict_.tests[next_];
  if (frame.type == FrameType::kValue) {
    const auto value = decode_value(frame.body);
    if (!value) return fail_one(make_result(TestVerdict::kProtocol));
    result = judge_value(prepared_.tests[next_], mode_, *value);
  } else {
    result = result_of_failure(frame);
    if (result.verdict == TestVerdict::kProtocol) return fail_one(result);
  }
  run_.restart_clock();
  const bool is_over =
      prepared_.request.stop_at_first_failure && result.verdict != TestVerdict::kPass;
  more_ = ++next_ < prepared_.tests.size() && !is_over;
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
    return fail_one(make_result(TestVerdict::kProtocol));
  }
  const bool is_answer = frame.type == FrameType::kValue || frame.type == FrameType::kRaised ||
                         frame.type == FrameType::kUnserialisable ||
                         frame.type == FrameType::kTooLarge;
  if (!is_answer || frame.id != next_) return fail_one(make_result(TestVerdict::kProtocol));
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
    if (event == JobRun::Event::kTimeJob) resumable_ = false;
  }
  run_.kill();
  if (run_.broken()) throw InfraError(run_.infra_reason());
  add_usage(run_, verdict_);
  return resumable_;
}

}  // namespace

JobSpec PreparedRequest::spec(ChildKind kind) const {
  JobSpec spec;
  spec.child = kind;
  spec.memory_mb = request.limits.memory_mb;
  spec.max_procs = request.limits.max_procs;
  spec.scratch_mb = request.limits.scratch_limit_mb(tier);
  spec.files = request.files;
  const auto num_tests = static_cast<int64_t>(tests.size());
  spec.cpu_seconds = 2 + (1 + num_tests) * (request.limits.cpu_ms / 1000 + 1) * 8;
  return spec;
}

JobLimits PreparedRequest::limits(int64_t spent_us) const {
  JobLimits limits = limits_of(request.limits, time_scale);
  const auto job_wall_ms = request.limits.job_wall_limit_ms(static_cast<int64_t>(tests.size()));
  limits.job_wall_us =
      static_cast<int64_t>(static_cast<double>(job_wall_ms) * 1000 * time_scale) - spent_us;
  limits.cancelled = request.cancelled.get();
  return limits;
}

PythonValue job_of(const JudgeRequest& request) {
  return PythonValue::tuple({PythonValue::str(request.code), PythonValue::str(request.setup),
                             PythonValue::str(request.entry_point)});
}

void add_usage(const JobRun& run, Verdict& verdict) {
  verdict.cpu_ms += (run.cpu_us() + 500) / 1000;
  verdict.peak_mb = std::max(verdict.peak_mb, static_cast<double>(run.peak_kb()) / 1024);
}

void run_calls(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict) {
  size_t next = 0;
  int64_t spent_us = 0;
  for (int restarts = 0; restarts <= kMaxRestarts && next < prepared.tests.size(); ++restarts) {
    CallAttempt attempt(prepared, zygote, verdict, next, spent_us);
    const bool resumable = attempt.go();
    next = attempt.next();
    spent_us += attempt.run().wall_us();
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
  if (test.output_comparer.equal(run.out(), test.output)) return make_result(TestVerdict::kPass);
  TestResult result = make_result(TestVerdict::kWrong);
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
    if (frame.type != FrameType::kLoadFailed) return make_result(TestVerdict::kProtocol);
    raised = result_of_failure(frame);
  }
}

bool is_exhausted(const TestResult& result) {
  return result.verdict == TestVerdict::kTimeCpu || result.verdict == TestVerdict::kTimeWall ||
         result.verdict == TestVerdict::kMemory;
}

}  // namespace

void run_stdio(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict) {
  int64_t spent_us = 0;
  int num_exhausted = 0;
  for (size_t i = 0; i < prepared.tests.size() && !prepared.request.is_cancelled(); ++i) {
    JobSpec spec = prepared.spec(ChildKind::kStdio);
    spec.input = prepared.tests[i].input;
    const JobLimits limits = prepared.limits(spent_us);
    JobRun run(zygote, spec, limits);
    TestResult& result = verdict.tests[i] = run_test(prepared, prepared.tests[i], run);
    run.kill();
    if (run.broken()) throw InfraError(run.infra_reason());
    add_usage(run, verdict);
    spent_us += run.wall_us();
    if (prepared.request.stop_at_first_failure && result.verdict != TestVerdict::kPass) return;
    num_exhausted += is_exhausted(result);
    const bool is_spent = run.wall_us() >= limits.job_wall_us;
    if (is_spent || num_exhausted > kMaxRestarts || result.verdict == TestVerdict::kOutput) return;
  }
}

}  // namespace weft
