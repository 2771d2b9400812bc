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
                                             const std::atomic<bool>* cancelled) const {
  SlotPool& slots = sandbox_.slots();
  auto lease = slots.acquire(SlotPool::Use::kCandidate, flavour_for({source_}, slots.packages()));
  JobSpec spec;
  spec.memory_mb = limits_.memory_mb;
  spec.scratch_mb = limits_.scratch_limit_mb(sandbox_.tier());
  spec.files = files_;
  spec.cpu_seconds = limits_.cpu_ms / 1000 * 8 + 10;  // the kernel's own, far behind ours
  const auto job = PythonValue::tuple(
      {PythonValue::str(source_), PythonValue::str(""), PythonValue::str(name_)});
  CallResult result = SlotPool::run_retried(lease, [&] {
    JobLimits limits = limits_of(limits_, sandbox_.time_scale());
    limits.cancelled = cancelled;
    return call_once(lease.zygote(), spec, limits, job, arguments, keywords);
  });
  Reply reply;
  reply.value = std::move(result.value);
  if (!reply.value) reply.fault = fault_of(result, name_);
  reply.met_time_limit =
      result.end.verdict == TestVerdict::kTimeCpu || result.end.verdict == TestVerdict::kTimeWall;
  return reply;
}

}  // namespace weft
