#include "sandbox/jail/job_result.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

namespace weft {
namespace {

const char* base_name(TestVerdict verdict) {
  switch (verdict) {
    case TestVerdict::kPass:
      return "PASS";
    case TestVerdict::kWrong:
      return "WRONG";
    case TestVerdict::kError:
      return "ERROR";
    case TestVerdict::kExit:
      return "EXIT";
    case TestVerdict::kUnserialisable:
      return "UNSERIALISABLE";
    case TestVerdict::kNoEntry:
      return "NO_ENTRY";
    case TestVerdict::kTimeCpu:
      return "TIME_CPU";
    case TestVerdict::kTimeWall:
      return "TIME_WALL";
    case TestVerdict::kMemory:
      return "MEMORY";
    case TestVerdict::kOutput:
      return "OUTPUT";
    case TestVerdict::kProtocol:
      return "PROTOCOL";
    case TestVerdict::kSignal:
      return "SIGNAL";
    case TestVerdict::kPolicy:
      return "POLICY";
    case TestVerdict::kSkipped:
      return "SKIPPED";
    case TestVerdict::kInfra:
      return "INFRA";
  }
  return "INFRA";
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace

std::string TestResult::name() const {
  std::string text = base_name(verdict);
  const bool shows_detail = verdict == TestVerdict::kError || verdict == TestVerdict::kExit ||
                            verdict == TestVerdict::kSignal;
  return shows_detail ? text + "(" + detail + ")" : text;
}

TestResult make_result(TestVerdict verdict, std::string detail) {
  TestResult result;
  result.verdict = verdict;
  result.detail = std::move(detail);
  return result;
}

TestResult result_of_event(JobRun::Event event, const JobRun& run) {
  if (run.broken()) throw InfraError(run.infra_reason());
  if (event == JobRun::Event::kCancelled) return make_result(TestVerdict::kSkipped, "cancelled");
  // Nothing that guest code does can undo the frame that precedes it.
  if (!run.locked()) throw InfraError("a job could not lock itself");
  switch (event) {
    case JobRun::Event::kTimeCpu:
      return make_result(TestVerdict::kTimeCpu);
    case JobRun::Event::kTimeWall:
      return make_result(TestVerdict::kTimeWall);
    case JobRun::Event::kTimeJob:
      return make_result(TestVerdict::kTimeWall, "job_wall_ms");
    case JobRun::Event::kOutput:
      return make_result(TestVerdict::kOutput);
    case JobRun::Event::kProtocol:
      return make_result(TestVerdict::kProtocol);
    case JobRun::Event::kCancelled:
    case JobRun::Event::kInfra:
      throw InfraError(run.infra_reason());
    case JobRun::Event::kExited:
    case JobRun::Event::kFrame:
      break;
  }
  const int status = run.wait_status();
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGSYS) return make_result(TestVerdict::kPolicy);
    return make_result(TestVerdict::kSignal, std::to_string(WTERMSIG(status)));
  }
  return make_result(TestVerdict::kExit, std::to_string(WEXITSTATUS(status)));
}

TestResult result_of_failure(const Frame& frame) {
  if (frame.type == FrameType::kNoEntry) return make_result(TestVerdict::kNoEntry);
  const auto body = decode_value(frame.body);
  if (!body) return make_result(TestVerdict::kProtocol);
  if (frame.type == FrameType::kTooLarge) {
    return make_result(TestVerdict::kUnserialisable,
                       "too large: a value has at most " + std::to_string(kMaxValueItems) +
                           " items, " + std::to_string(kMaxFrameBytes) + " bytes and a depth of " +
                           std::to_string(kMaxValueDepth));
  }
  if (frame.type == FrameType::kUnserialisable) {
    return make_result(body->is_str() ? TestVerdict::kUnserialisable : TestVerdict::kProtocol,
                       printable(body->text.substr(0, 200)));
  }
  const auto& items = body->items;
  if (items.size() != 3 || !items[0].is_str() || !items[1].is_str()) {
    return make_result(TestVerdict::kProtocol);
  }
  TestResult result =
      make_result(items[0].text == "MemoryError" ? TestVerdict::kMemory : TestVerdict::kError,
                  printable(items[0].text.substr(0, 200)));
  result.error_message = items[1].text.substr(0, 1000);
  for (size_t i = 0; i < std::min<size_t>(items[2].items.size(), 8); ++i) {
    result.traceback.push_back(printable(items[2].items[i].text.substr(0, 400)));
  }
  return result;
}

}  // namespace weft
