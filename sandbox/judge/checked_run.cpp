#include <memory>

#include "sandbox/judge/judge_run.h"

namespace weft {
namespace {

constexpr const char* kCandidateError = "CandidateError";

// A candidate that answers the checker's calls one at a time.
class Candidate {
 public:
  Candidate(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict)
      : prepared_(prepared), zygote_(zygote), verdict_(verdict) {}

  // Starts, or starts anew, where there is no living process; false when restarts are used up.
  bool ready();

  // The reply for the checker: (True, value) or (False, what went wrong).
  PythonValue call(const PythonValue& arguments);

  // What went wrong in the test at hand, if anything: the latest exception, or how it ended.
  const std::optional<TestResult>& failure() const { return failure_; }

  // Whether that decides the test, whatever the checker makes of it: all but an exception does.
  bool is_over() const { return is_over_; }

  // Whose limits are those of all its calls together.
  void begin_test();
  void end();

 private:
  PythonValue fail(TestResult result);
  void load();

  const PreparedRequest& prepared_;
  ZygoteProcess& zygote_;
  Verdict& verdict_;
  std::unique_ptr<JobRun> run_;
  std::optional<TestResult> failure_;
  bool permanent_ = false;
  bool is_over_ = false;
  int64_t spent_us_ = 0;
  int starts_ = 0;
  uint32_t last_id_ = 0;
};

void Candidate::end() {
  if (!run_) return;
  run_->kill();
  if (run_->broken()) throw InfraError(run_->infra_reason());
  add_usage(*run_, verdict_);
  spent_us_ += run_->wall_us();
  run_.reset();
}

void Candidate::load() {
  run_ = std::make_unique<JobRun>(zygote_, prepared_.spec(ChildKind::kCall),
                                  prepared_.limits(spent_us_));
  run_->send(make_frame(FrameType::kJob, 0, job_of(prepared_.request)));
  Frame frame;
  const auto event = run_->next(frame);
  if (event == JobRun::Event::kFrame && frame.type == FrameType::kLoaded) {
    return run_->restart_clock();
  }
  permanent_ = true;
  if (event != JobRun::Event::kFrame) {
    fail(result_of_event(event, *run_));
  } else if (frame.type == FrameType::kLoadFailed || frame.type == FrameType::kNoEntry) {
    fail(result_of_failure(frame));
  } else {
    fail({TestVerdict::kProtocol, {}, {}, {}, {}});
  }
}

bool Candidate::ready() {
  if (permanent_) return false;
  if (run_) return true;
  if (starts_ > kMaxRestarts) return false;
  ++starts_;
  load();
  return run_ != nullptr;
}

// Exceptions that `except Exception` lets through: no test may expect one of an answer.
bool ends_programs(const std::string& type) {
  return type == "SystemExit" || type == "KeyboardInterrupt" || type == "GeneratorExit";
}

PythonValue Candidate::fail(TestResult result) {
  const bool is_exception = result.verdict == TestVerdict::kError && !ends_programs(result.detail);
  const bool alive = is_exception && run_ && !run_->exited();
  const PythonValue reply =
      PythonValue::tuple({PythonValue::boolean(false), PythonValue::str(result.name())});
  failure_ = std::move(result);
  is_over_ = !alive || permanent_;
  if (is_over_) end();
  return reply;
}

void Candidate::begin_test() {
  if (!permanent_) {
    failure_.reset();
    is_over_ = false;
  }
  if (!run_) return;
  run_->resume_clock();
  run_->restart_clock();
}

PythonValue Candidate::call(const PythonValue& arguments) {
  if (!run_) {  // it ended in this test, and with it the test's limits
    return PythonValue::tuple({PythonValue::boolean(false), PythonValue::str("no candidate")});
  }
  run_->resume_clock();
  run_->send(make_frame(FrameType::kCall, ++last_id_, arguments));
  Frame frame;
  const auto event = run_->next(frame);
  if (event == JobRun::Event::kTimeJob) permanent_ = true;
  if (event != JobRun::Event::kFrame) return fail(result_of_event(event, *run_));
  if (frame.id != last_id_) return fail({TestVerdict::kProtocol, {}, {}, {}, {}});
  if (frame.type == FrameType::kValue) {
    auto value = decode_value(frame.body);
    if (!value) return fail({TestVerdict::kProtocol, {}, {}, {}, {}});
    return PythonValue::tuple({PythonValue::boolean(true), std::move(*value)});
  }
  if (frame.type != FrameType::kRaised && frame.type != FrameType::kUnserialisable &&
      frame.type != FrameType::kTooLarge) {
    return fail({TestVerdict::kProtocol, {}, {}, {}, {}});
  }
  return fail(result_of_failure(frame));
}

JobLimits checker_limits(const PreparedRequest& prepared) {
  // The checker waits while the candidate computes: its wall limit is far beyond the candidate's.
  JobLimits limits = prepared.limits(0);
  limits.cpu_us = 10'000'000;
  limits.wall_us = limits.wall_us * 10 + 60'000'000;
  limits.job_wall_us = JobLimits{}.job_wall_us;
  return limits;
}

// The checker's own faults say nothing about the candidate.
TestResult checker_failed(const std::string& how) {
  return make_result(TestVerdict::kInfra, "the checker: " + how);
}

TestResult checker_failed(const TestResult& end) {
  if (end.verdict == TestVerdict::kNoEntry) return checker_failed("it defines no function check");
  std::string how = end.name();
  if (!end.error_message.empty()) how += " " + end.error_message;
  for (const auto& place : end.traceback) how += "; " + place;
  return checker_failed(how);
}

// True and False only: 0.5 of a test is no verdict.
TestResult result_of_check(const Frame& frame, const std::optional<TestResult>& failure) {
  if (frame.type != FrameType::kValue) {
    const TestResult end = result_of_failure(frame);
    if (end.verdict == TestVerdict::kError && end.detail == "AssertionError") {
      return failure ? *failure : make_result(TestVerdict::kWrong);
    }
    const bool passed_on = end.verdict == TestVerdict::kError && end.detail == kCandidateError;
    return passed_on && failure ? *failure : checker_failed(end);
  }
  if (frame.body == "T") return make_result(TestVerdict::kPass);
  if (frame.body == "F") return failure ? *failure : make_result(TestVerdict::kWrong);
  const auto value = decode_value(frame.body);
  return checker_failed("check() gave " + (value ? python_literal(*value, 100) : "no value") +
                        ", expected True or False");
}

TestResult check_one(JobRun& checker, Candidate& candidate, uint32_t id, const PythonValue& test) {
  checker.restart_clock();
  checker.send(make_frame(FrameType::kCall, id, test));
  Frame frame;
  for (;;) {
    const auto event = checker.next(frame);
    if (event != JobRun::Event::kFrame) {
      const TestResult end = result_of_event(event, checker);
      return end.verdict == TestVerdict::kSkipped ? end : checker_failed(end);
    }
    if (frame.type != FrameType::kRequest) break;
    const auto arguments = decode_value(frame.body);
    if (!arguments) return checker_failed("PROTOCOL");
    checker.send(make_frame(FrameType::kReply, 0, candidate.call(*arguments)));
  }
  return result_of_check(frame, candidate.failure());
}

}  // namespace

void run_checked(const PreparedRequest& prepared, ZygoteProcess& zygote,
                 ZygoteProcess& checker_slot, Verdict& verdict) {
  JudgeRequest checker_request;
  checker_request.code = prepared.request.checker;
  checker_request.limits.cpu_ms = 10000;
  checker_request.files = prepared.request.files;
  const PreparedRequest checked{checker_request, prepared.tests, prepared.time_scale,
                                prepared.tier};
  JobRun checker(checker_slot, checked.spec(ChildKind::kChecker), checker_limits(prepared));
  checker.send(make_frame(FrameType::kJob, 0, job_of(checker_request)));
  Frame frame;
  const auto event = checker.next(frame);
  std::optional<TestResult> broken;
  if (event != JobRun::Event::kFrame) {
    broken = checker_failed(result_of_event(event, checker));
  } else if (frame.type != FrameType::kLoaded) {
    broken = checker_failed(result_of_failure(frame));
  }
  Candidate candidate(prepared, zygote, verdict);
  for (size_t i = 0; i < prepared.tests.size(); ++i) {
    TestResult& result = verdict.tests[i];
    if (broken) {
      result = *broken;
    } else if (candidate.begin_test(); candidate.ready()) {
      result = check_one(checker, candidate, static_cast<uint32_t>(i), prepared.tests[i].call);
      if (checker.exited()) broken = result;
      if (candidate.is_over()) result = *candidate.failure();
    } else if (candidate.failure()) {
      result = *candidate.failure();
    }
    if (prepared.request.is_cancelled()) {
      result = {};
      break;
    }
    if (result.verdict == TestVerdict::kInfra) {
      verdict.infra = true;
      verdict.tests.assign(verdict.tests.size(), TestResult(result));
      break;
    }
    if (prepared.request.stop_at_first_failure && result.verdict != TestVerdict::kPass) break;
  }
  candidate.end();
}

}  // namespace weft
