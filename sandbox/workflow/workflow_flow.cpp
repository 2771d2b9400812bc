#include "sandbox/workflow/workflow_flow.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "sandbox/jail/job_result.h"

namespace weft {
namespace {

constexpr size_t kMaxMessages = 1000;  // of one call

using Kind = PythonValue::Kind;
using Status = WorkflowResult::Status;

FlowRequest invalid(std::string error) {
  FlowRequest request;
  request.error = std::move(error);
  return request;
}

FlowRequest parse_call_llm(const std::vector<PythonValue>& items) {
  FlowRequest request;
  const bool shaped = items.size() == 6 && items[1].kind == Kind::kList &&
                      items[2].kind == Kind::kFloat && items[3].kind == Kind::kInt &&
                      items[4].is_str() && items[5].is_str();
  if (!shaped) {
    return invalid(
        "call_llm expects messages, temperature, num_of_response, agent_role, instructions");
  }
  if (items[1].items.size() > kMaxMessages) {
    return invalid("call_llm expects at most " + std::to_string(kMaxMessages) + " messages");
  }
  for (const auto& message : items[1].items) {
    if (!message.is_str()) return invalid("call_llm expects messages of type str");
    request.worker.messages.push_back(message.text);
  }
  if (request.worker.messages.empty()) return invalid("call_llm expects at least one message");
  if (!std::isfinite(items[2].real) || items[2].real < 0 || items[2].real > 10) {
    return invalid("call_llm expects a temperature in [0, 10]");
  }
  if (items[3].number < 1 || items[3].number > 1 << 20) {
    return invalid("call_llm expects num_of_response >= 1");
  }
  request.kind = FlowRequest::Kind::kCallLlm;
  request.worker.temperature = items[2].real;
  request.worker.num_responses = static_cast<int>(items[3].number);
  request.worker.agent_role = items[4].text;
  request.worker.instructions = items[5].text;
  return request;
}

FlowRequest parse_call_tool(const std::vector<PythonValue>& items) {
  const bool shaped = items.size() == 4 && items[1].is_str() && items[2].kind == Kind::kList &&
                      items[3].kind == Kind::kDict;
  if (!shaped) return invalid("call_tool expects a name, arguments and keywords");
  FlowRequest request;
  request.kind = FlowRequest::Kind::kCallTool;
  request.tool = items[1].text;
  request.arguments = items[2].items;
  request.keywords = items[3];
  return request;
}

std::string exceeded(const char* what, double limit) {
  std::string number = std::to_string(limit);
  number.erase(number.find_last_not_of('0') + 1);
  if (number.back() == '.') number.pop_back();
  return std::string(what) + " exceeds the budget of " + number;
}

std::string described(const TestResult& failure) {
  std::string text = failure.detail;
  if (!failure.error_message.empty()) text += ": " + failure.error_message;
  for (auto line = failure.traceback.rbegin(); line != failure.traceback.rend(); ++line) {
    if (line->find(" of ") == std::string::npos) return text + " (" + *line + ")";
  }
  return text;
}

}  // namespace

void Flow::decide(Status status, std::string error) {
  if (decided) return;
  decided = true;
  result.status = status;
  result.error = std::move(error);
}

std::string Flow::traced(const std::string& text, Json& entry) {
  const int64_t left = job.trace_text_bytes - traced_bytes;
  if (job.trace_text_bytes == 0 || text.empty()) return "";
  std::string kept = utf8_prefix(text, static_cast<size_t>(std::max<int64_t>(left, 0)));
  if (kept.size() < text.size()) entry["cut"] = true;
  traced_bytes += static_cast<int64_t>(kept.size());
  return kept;
}

bool Flow::is_outstanding(uint32_t request_id) const {
  const auto is_same = [&](const auto& call) { return call.request_id == request_id; };
  return (exec && exec->request_id == request_id) || (tool && tool->request_id == request_id) ||
         std::any_of(calls.begin(), calls.end(), is_same) ||
         std::any_of(held.begin(), held.end(), is_same);
}

Flow::Call& Flow::call(uint32_t request_id) {
  const auto found = std::find_if(calls.begin(), calls.end(),
                                  [&](const Call& call) { return call.request_id == request_id; });
  WEFT_ASSERT(found != calls.end());
  return *found;
}

bool Flow::has_call_in_flight() const {
  return std::any_of(calls.begin(), calls.end(), [](const Call& call) { return !call.reply; });
}

void Flow::charge_undelivered() {
  for (Call& call : calls) {
    charge_reply(*this, *call.reply);
    result.trace.push_back(std::move(call.entry));
    ++result.usage.clock_decisions;
  }
  calls.clear();
}

bool Flow::take_shared(const Worker::Bound& claim) {
  waits_for_others = false;
  if (!job.shared_budget) return true;
  const auto grant = job.shared_budget->reserve(claim);
  if (grant == CallBudget::Grant::kTaken) return true;
  waits_for_others = grant == CallBudget::Grant::kLater;
  if (waits_for_others) return false;
  result.out_of_budget = !decided;
  ++result.usage.clock_decisions;  // who comes too late depends on the others
  decide(Status::kInfrastructure, "the shared budget is spent");
  return false;
}

std::unique_ptr<Flow> Flow::again(Flow lost) {
  auto flow = std::make_unique<Flow>();
  flow->job = std::move(lost.job);
  flow->done = std::move(lost.done);
  flow->retried = true;
  flow->result.tier = lost.result.tier;
  flow->spent = lost.result.usage;
  return flow;
}

WorkflowResult Flow::take_result() {
  result.usage.calls += spent.calls;
  result.usage.execs += spent.execs;
  result.usage.tool_calls += spent.tool_calls;
  result.usage.prompt_tokens += spent.prompt_tokens;
  result.usage.completion_tokens += spent.completion_tokens;
  result.usage.usd += spent.usd;
  result.usage.clock_decisions += spent.clock_decisions;
  return std::move(result);
}

int64_t Flow::wall_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started).count();
}

int64_t Flow::longest_wait_ms() const {
  Clock::duration longest{};
  for (const Call& call : calls) {
    if (!call.reply) longest = std::max(longest, Clock::now() - call.since);
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(longest).count();
}

bool is_expected(const Flow& flow, FrameType type) {
  if (!flow.locked) return type == FrameType::kLocked;
  if (!flow.loaded) return type == FrameType::kLoaded;
  return type == FrameType::kRequest || type == FrameType::kValue || type == FrameType::kRaised ||
         type == FrameType::kUnserialisable || type == FrameType::kTooLarge;
}

FlowRequest parse_flow_request(const PythonValue& value) {
  const auto& items = value.items;
  if (value.kind != Kind::kTuple || items.empty()) return invalid("malformed request");
  if (items[0].text == "call_llm") return parse_call_llm(items);
  if (items[0].text == "call_tool") return parse_call_tool(items);
  if (items[0].text != "exec_code") return invalid("unknown request");
  if (items.size() != 3 || !items[1].is_str() || !items[2].is_str()) {
    return invalid("exec_code expects solution and entry_point");
  }
  FlowRequest request;
  request.kind = FlowRequest::Kind::kExecCode;
  request.solution = items[1].text;
  request.entry_point = items[2].text;
  return request;
}

uint64_t content_hash(const WorkerRequest& request) {
  uint64_t hash = hash_combine(hash64(request.agent_role), hash64(request.instructions));
  for (const auto& message : request.messages) hash = hash_combine(hash, hash64(message));
  hash = hash_combine(hash, std::bit_cast<uint64_t>(request.temperature));
  return hash_combine(hash, static_cast<uint64_t>(request.num_responses));
}

uint64_t call_seed(uint64_t seed, const WorkerRequest& request, int num_equal_before) {
  return hash_combine(hash_combine(seed, content_hash(request)),
                      static_cast<uint64_t>(num_equal_before));
}

std::optional<std::string> charge_request(Flow& flow, const FlowRequest& request) {
  const WorkflowBudget& budget = flow.job.budget;
  WorkflowUsage& usage = flow.result.usage;
  if (request.kind == FlowRequest::Kind::kExecCode) {
    if (usage.execs >= budget.max_exec) return exceeded("number of exec_code", budget.max_exec);
    ++usage.execs;
    return std::nullopt;
  }
  if (request.kind == FlowRequest::Kind::kCallTool) {
    if (usage.tool_calls >= budget.max_tool_calls) {
      return exceeded("number of calls of tools", budget.max_tool_calls);
    }
    ++usage.tool_calls;
    return std::nullopt;
  }
  if (usage.calls >= budget.max_calls) return exceeded("number of call_llm", budget.max_calls);
  if (request.worker.num_responses > budget.max_responses_per_call) {
    return exceeded("num_of_response", budget.max_responses_per_call);
  }
  ++usage.calls;
  return std::nullopt;
}

std::optional<std::string> charge_reply(Flow& flow, const WorkerReply& reply) {
  const WorkflowBudget& budget = flow.job.budget;
  WorkflowUsage& usage = flow.result.usage;
  usage.prompt_tokens += reply.prompt_tokens;
  usage.completion_tokens += reply.completion_tokens;
  usage.usd += reply.usd;
  if (usage.prompt_tokens + usage.completion_tokens > budget.max_tokens) {
    return exceeded("number of tokens", static_cast<double>(budget.max_tokens));
  }
  if (usage.usd > budget.max_usd) return exceeded("cost in USD", budget.max_usd);
  return std::nullopt;
}

Worker::Bound left_of_budget(const Flow& flow) {
  const WorkflowBudget& budget = flow.job.budget;
  const WorkflowUsage& usage = flow.result.usage;
  Worker::Bound left{budget.max_tokens - usage.prompt_tokens - usage.completion_tokens,
                     budget.max_usd - usage.usd};
  for (const Flow::Call& call : flow.calls) {
    left.tokens -= call.claim.tokens;
    left.usd -= call.claim.usd;
  }
  return left;
}

std::optional<std::string> spent_budget(const Flow& flow, const Worker::Bound& bound) {
  const Worker::Bound left = left_of_budget(flow);
  const WorkflowBudget& budget = flow.job.budget;
  if (left.tokens < 1) return exceeded("number of tokens", static_cast<double>(budget.max_tokens));
  if (left.usd <= 0 && bound.usd > 0) return exceeded("cost in USD", budget.max_usd);
  return std::nullopt;
}

void take_answer(Flow& flow, const Frame& frame) {
  if (frame.type != FrameType::kValue) {
    const TestResult failure = result_of_failure(frame);
    return flow.decide(Status::kWorkflowError, failure.verdict == TestVerdict::kError ||
                                                       failure.verdict == TestVerdict::kMemory
                                                   ? described(failure)
                                                   : failure.name() + " " + failure.detail);
  }
  const auto value = decode_value(frame.body);
  if (!value) return flow.decide(Status::kWorkflowError, "PROTOCOL: malformed answer");
  const bool is_pair = value->kind == Kind::kTuple && value->items.size() == 2;
  const PythonValue& answer = is_pair ? value->items[0] : *value;
  const auto is_number = [](const PythonValue& v) {
    return v.kind == Kind::kInt || v.kind == Kind::kFloat;
  };
  if (!answer.is_str() || (is_pair && !is_number(value->items[1]))) {
    return flow.decide(Status::kWorkflowError, "TypeError: the workflow returned " +
                                                   python_literal(*value, 200) +
                                                   ", expected (answer: str, cost: float)");
  }
  flow.result.answer = answer.text;
  flow.decide(Status::kAnswered, "");
}

std::string reply_frame(uint32_t id, bool good, PythonValue value) {
  return make_frame(FrameType::kReply, id,
                    PythonValue::tuple({PythonValue::boolean(good), std::move(value)}));
}

}  // namespace weft
