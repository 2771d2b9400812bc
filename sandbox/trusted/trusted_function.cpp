#include "sandbox/trusted/trusted_function.h"

#include <algorithm>
#include <utility>

#include "sandbox/jail/single_call.h"
#include "sandbox/jail/slot_pool.h"

namespace weft {
namespace {

std::string fault_of(const CallResult& result, const std::string& name) {
  if (result.end.verdict == TestVerdict::kNoEntry) return "it defines no function " + name;
  std::string fault = result.failure();
  std::replace(fault.begin(), fault.end(), '\n', ' ');
  std::replace(fault.begin(), fault.end(), '\r', ' ');
  for (const auto& place : result.end.traceback) fault += "; " + place;
  return fault;
}

PythonValue refused(const std::string& why) {
  return PythonValue::tuple({PythonValue::boolean(false), PythonValue::str(why)});
}

/// What `http` asks: (url, data or None, headers or None).
PythonValue answer_http(const WebAccess& web, const PythonValue& asked, int64_t timeout_ms,
                        const std::atomic<bool>* cancelled) {
  using Kind = PythonValue::Kind;
  if (asked.kind != Kind::kTuple || asked.items.size() != 3) return refused("a malformed request");
  const PythonValue &url = asked.items[0], &data = asked.items[1], &headers = asked.items[2];
  if (data.kind != Kind::kNone && !data.is_str() && data.kind != Kind::kBytes) {
    return refused("expected data of str or bytes");
  }
  WebAccess::Request request{url.text, std::nullopt, {}};
  if (data.kind != Kind::kNone) request.data = data.text;
  if (headers.kind != Kind::kNone && headers.kind != Kind::kDict) {
    return refused("expected headers as a dict");
  }
  for (size_t i = 0; i + 1 < headers.items.size(); i += 2) {
    const PythonValue &name = headers.items[i], &value = headers.items[i + 1];
    if (!name.is_str() || !value.is_str()) return refused("expected headers of str");
    request.headers[name.text] = value.text;
  }
  auto reply = web.fetch(request, timeout_ms, cancelled);
  if (!reply.ok) return refused(url.text + ": " + reply.text);
  return PythonValue::tuple({PythonValue::boolean(true), PythonValue::str(std::move(reply.text))});
}

}  // namespace

TrustedFunction::TrustedFunction(Sandbox& sandbox, std::string source, std::string name,
                                 Limits limits, TaskFiles files)
    : sandbox_(sandbox),
      source_(std::move(source)),
      name_(std::move(name)),
      limits_(limits),
      files_(std::move(files)) {
  limits_.validate();
  limits_.require_room_for(files_, sandbox.tier());
}

TrustedFunction::Reply TrustedFunction::call(const std::vector<PythonValue>& arguments,
                                             const PythonValue& keywords,
                                             const std::atomic<bool>* cancelled,
                                             const WebAccess* web) const {
  SlotPool& slots = sandbox_.slots();
  auto lease = slots.acquire(SlotPool::Use::kCandidate, flavour_for({source_}, slots.packages()));
  JobSpec spec;
  if (web) spec.child = ChildKind::kTool;
  spec.memory_mb = limits_.memory_mb;
  spec.scratch_mb = limits_.scratch_limit_mb(sandbox_.tier());
  spec.files = files_;
  spec.cpu_seconds = limits_.cpu_ms / 1000 * 8 + 10;  // the kernel's own, far behind ours
  const auto job = PythonValue::tuple(
      {PythonValue::str(source_), PythonValue::str(""), PythonValue::str(name_)});
  CallResult result = SlotPool::run_retried(lease, [&] {
    JobLimits limits = limits_of(limits_, sandbox_.time_scale());
    limits.cancelled = cancelled;
    AnswerRequest answer;
    if (web) {
      answer = [&](const PythonValue& asked) {
        return answer_http(*web, asked, limits.wall_us / 1000, cancelled);
      };
    }
    return call_once(lease.zygote(), spec, limits, job, arguments, keywords, answer);
  });
  Reply reply;
  reply.value = std::move(result.value);
  if (!reply.value) reply.fault = fault_of(result, name_);
  reply.met_time_limit =
      result.end.verdict == TestVerdict::kTimeCpu || result.end.verdict == TestVerdict::kTimeWall;
  return reply;
}

}  // namespace weft
