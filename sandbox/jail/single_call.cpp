#include "sandbox/jail/single_call.h"

namespace weft {
namespace {

// The next frame that is no request, or a request that cannot be answered.
JobRun::Event next_answered(JobRun& run, Frame& frame, const AnswerRequest& answer) {
  for (;;) {
    const auto event = run.next(frame);
    if (event != JobRun::Event::kFrame || frame.type != FrameType::kRequest || !answer) {
      return event;
    }
    const auto request = decode_value(frame.body);
    if (!request) return event;
    run.send(make_frame(FrameType::kReply, frame.id, answer(*request)));
  }
}

// The answer to the only call of a job, or what came in its place.
TestResult take_answer(JobRun& run, std::optional<PythonValue>& value,
                       const AnswerRequest& answer) {
  Frame frame;
  auto event = next_answered(run, frame, answer);
  if (event == JobRun::Event::kFrame && frame.type == FrameType::kLoaded) {
    event = next_answered(run, frame, answer);
  }
  if (event != JobRun::Event::kFrame) return result_of_event(event, run);
  if (frame.type != FrameType::kValue) return result_of_failure(frame);
  value = decode_value(frame.body);
  return make_result(value ? TestVerdict::kPass : TestVerdict::kProtocol);
}

}  // namespace

std::string CallResult::failure() const {
  const std::string& why = end.error_message;
  return end.name() + (why.empty() ? "" : " " + why);
}

CallResult call_once(ZygoteProcess& zygote, const JobSpec& spec, const JobLimits& limits,
                     const PythonValue& job, std::vector<PythonValue> args, PythonValue keywords,
                     const AnswerRequest& answer) {
  JobRun run(zygote, spec, limits);
  run.send(make_frame(FrameType::kJob, 0, job));
  keywords.kind = PythonValue::Kind::kDict;
  run.send(
      make_frame(FrameType::kCall, 0,
                 PythonValue::tuple({PythonValue::tuple(std::move(args)), std::move(keywords)})));
  CallResult result;
  result.end = take_answer(run, result.value, answer);
  run.kill();
  if (run.broken()) throw InfraError(run.infra_reason());
  return result;
}

CallResult run_builtin(ZygoteProcess& zygote, const std::string& name,
                       std::vector<PythonValue> args, double time_scale) {
  JobSpec spec;
  spec.child = ChildKind::kBuiltin;
  return call_once(zygote, spec, limits_of(Limits{}, time_scale),
                   PythonValue::tuple({PythonValue::str(name)}), std::move(args));
}

JobLimits limits_of(const Limits& limits, double time_scale) {
  JobLimits scaled;
  scaled.cpu_us = static_cast<int64_t>(static_cast<double>(limits.cpu_ms) * 1000 * time_scale);
  scaled.wall_us =
      static_cast<int64_t>(static_cast<double>(limits.wall_limit_ms()) * 1000 * time_scale);
  scaled.output_bytes = limits.output_bytes;
  return scaled;
}

}  // namespace weft
