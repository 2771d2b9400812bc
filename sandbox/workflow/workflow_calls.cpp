#include <algorithm>
#include <chrono>

#include "sandbox/workflow/exec_report.h"
#include "sandbox/workflow/workflow_loop.h"

namespace weft {
namespace {

using Status = WorkflowResult::Status;

constexpr size_t kMaxTraceText = 200;  // of a tool's arguments or result

/// Adds what is asked to the entry of a call.
void trace_request(Flow& flow, const WorkerRequest& request, Json& entry) {
  if (flow.job.trace_text_bytes == 0) return;
  std::string prompt;
  for (const std::string& message : request.messages) {
    prompt += (prompt.empty() ? "" : "\n\n") + message;
  }
  if (!request.instructions.empty()) {
    entry["instructions"] = flow.traced(request.instructions, entry);
  }
  entry["prompt"] = flow.traced(prompt, entry);
}

/// Adds what came back.
void trace_reply(Flow& flow, const WorkerReply& reply, Json& entry) {
  if (flow.job.trace_text_bytes == 0) return;
  Json texts = Json::array();
  for (const std::string& text : reply.texts) texts.push_back(flow.traced(text, entry));
  entry["texts"] = std::move(texts);
  if (!reply.error.empty()) entry["error"] = flow.traced(reply.error, entry);
}

}  // namespace

void WorkflowLoop::take_request(Flow& flow, const Frame& frame) {
  const auto value = decode_value(frame.body);
  if (!value || flow.is_outstanding(frame.id)) {
    return flow.decide(Status::kWorkflowError, "PROTOCOL: a malformed request");
  }
  FlowRequest request = parse_flow_request(*value);
  if (const auto limit = charge_request(flow, request)) {
    return flow.decide(Status::kLimit, *limit);
  }
  if (request.kind == FlowRequest::Kind::kInvalid) {
    count_unasked(flow);
    flow.unsent += reply_frame(frame.id, false, PythonValue::str(request.error));
    return flush(flow);
  }
  if (request.kind == FlowRequest::Kind::kCallLlm) {
    return call_llm(flow, frame.id, std::move(request.worker));
  }
  if (flow.exec || flow.tool) {  // the helper waits for each
    const char* running = flow.exec ? "an exec_code" : "a function of tools.file";
    const auto refusal = PythonValue::str(std::string(running) + " of this workflow is running");
    flow.unsent += reply_frame(frame.id, false, refusal);
    return flush(flow);
  }
  if (request.kind == FlowRequest::Kind::kCallTool) {
    return call_tool(flow, frame.id, std::move(request));
  }
  exec_code(flow, frame.id, request);
}

/// A call that no model is asked for counts as one all the same.
void WorkflowLoop::count_unasked(Flow& flow) {
  if (flow.job.shared_budget && flow.take_shared({})) flow.job.shared_budget->settle({}, {});
}

void WorkflowLoop::call_llm(Flow& flow, uint32_t id, WorkerRequest request) {
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  request.seed = call_seed(flow.job.seed, request, flow.asked[content_hash(request)]++);
  flow.held.push_back({id, std::move(request)});
  submit_held(flow);
}

// A call is lowered to what is left only when nothing else is under way: what it may take is then a
// function of what the calls before it took.
void WorkflowLoop::submit_held(Flow& flow) {
  while (!flow.decided && !flow.held.empty()) {
    WorkerRequest& request = flow.held.front().request;
    Worker::Bound claim = worker_.bound(request);
    const Worker::Bound left = left_of_budget(flow);
    const bool fits = claim.tokens <= left.tokens && claim.usd <= left.usd;
    if (!fits && !flow.calls.empty()) return;
    if (const auto limit = spent_budget(flow, claim)) return flow.decide(Status::kLimit, *limit);
    if (!fits) {
      claim = {std::min(claim.tokens, left.tokens), std::min(claim.usd, left.usd)};
      request.max_tokens = left.tokens;
      request.max_usd = left.usd;
    }
    if (!flow.take_shared(claim)) return;
    Flow::HeldCall next = std::move(flow.held.front());
    flow.held.pop_front();
    submit_call(flow, next.request_id, std::move(next.request), claim);
  }
}

void WorkflowLoop::submit_call(Flow& flow, uint32_t id, WorkerRequest request,
                               const Worker::Bound& claim) {
  flow.calls.push_back({id, request.cancelled, {}, {}, claim, Flow::Clock::now()});
  Json entry{{"kind", "call_llm"}, {"role", request.agent_role.substr(0, 80)}};
  trace_request(flow, request, entry);
  const auto start = Flow::Clock::now();
  worker_.submit(
      std::move(request), [this, flow_id = flow.id, id, entry, start](WorkerReply reply) {
        const std::chrono::duration<double, std::milli> took = Flow::Clock::now() - start;
        Json timed = entry;
        timed["responses"] = reply.texts.size();
        timed["prompt_tokens"] = reply.prompt_tokens;
        timed["completion_tokens"] = reply.completion_tokens;
        if (reply.lowered) timed["lowered"] = true;
        timed["ms"] = took.count();
        post([this, flow_id, id, reply = std::move(reply), timed = std::move(timed)] {
          finish_call(flow_id, id, reply, timed);
        });
      });
}

void WorkflowLoop::finish_call(uint64_t flow_id, uint32_t id, const WorkerReply& reply,
                               Json entry) {
  Flow& flow = *flows_.at(flow_id);
  Flow::Call& call = flow.call(id);
  call.reply = reply;
  if (flow.job.shared_budget) {
    flow.job.shared_budget->settle(call.claim,
                                   {reply.prompt_tokens + reply.completion_tokens, reply.usd});
  }
  call.entry = std::move(entry);
  trace_reply(flow, reply, call.entry);
  if (reply.status == WorkerReply::Status::kInfrastructure) {
    flow.decide(Status::kInfrastructure, "worker: " + reply.error);
  }
  while (!flow.decided && !flow.calls.empty() && flow.calls.front().reply) {
    const Flow::Call next = std::move(flow.calls.front());
    flow.calls.pop_front();
    deliver(flow, next);
  }
  submit_held(flow);
  flush(flow);
  settle(flow);
}

void WorkflowLoop::deliver(Flow& flow, const Flow::Call& call) {
  const WorkerReply& reply = *call.reply;
  flow.result.trace.push_back(call.entry);
  if (const auto limit = charge_reply(flow, reply)) {
    flow.decide(Status::kLimit, *limit);
  } else if (reply.status == WorkerReply::Status::kLimit) {
    flow.decide(Status::kLimit, "budget: " + reply.error);
  } else if (reply.status == WorkerReply::Status::kRefused) {
    flow.unsent +=
        reply_frame(call.request_id, false, PythonValue::str(reply.error.substr(0, 1000)));
  } else {
    std::vector<PythonValue> texts;
    for (const auto& text : reply.texts) texts.push_back(PythonValue::str(text));
    flow.unsent += reply_frame(
        call.request_id, true,
        PythonValue::tuple(
            {PythonValue::list(std::move(texts)), PythonValue::integer(reply.prompt_tokens),
             PythonValue::integer(reply.completion_tokens), PythonValue::real_number(reply.usd)}));
  }
}

void WorkflowLoop::exec_code(Flow& flow, uint32_t id, const FlowRequest& request) {
  // The tests are the query's, and so is what they call; a free query leaves it to the workflow.
  const std::string& declared = flow.job.entry_point;
  auto judged = exec_request(request.solution, declared.empty() ? request.entry_point : declared,
                             flow.job.public_tests);
  judged.setup = flow.job.setup;
  judged.files = flow.job.files;
  if (!flow.job.checker.empty() && !flow.job.public_tests.empty()) {
    judged.mode = Mode::kJudge;
    judged.checker = flow.job.checker;
  }
  flow.exec = {id, std::make_shared<std::atomic<bool>>(false)};
  judged.cancelled = flow.exec->cancelled;
  ++num_execs_;
  Json asked{{"kind", "exec_code"}};
  if (flow.job.trace_text_bytes > 0) asked["code"] = flow.traced(request.solution, asked);
  const auto start = Flow::Clock::now();
  judge_.submit(std::move(judged), [this, flow_id = flow.id, id, asked, start](Verdict verdict) {
    const std::chrono::duration<double, std::milli> took = Flow::Clock::now() - start;
    Json entry = asked;
    entry.update({{"passed", verdict.passed},
                  {"declared", verdict.declared},
                  {"verdict", verdict.row_verdict()},
                  {"ms", took.count()}});
    post([this, flow_id, id, verdict = std::move(verdict), entry = std::move(entry)] {
      finish_exec(flow_id, id, verdict, entry);
    });
  });
}

void WorkflowLoop::call_tool(Flow& flow, uint32_t id, FlowRequest request) {
  if (!flow.job.tools || !flow.job.tools->has(request.tool)) {
    flow.unsent += reply_frame(id, false, PythonValue::str("there is no such function"));
    return flush(flow);
  }
  flow.tool = {id, std::make_shared<std::atomic<bool>>(false)};
  ++num_tool_calls_;
  Json entry{{"kind", "call_tool"}, {"name", request.tool}};
  entry["arguments"] = python_literal(PythonValue::tuple(request.arguments), kMaxTraceText);
  if (!request.keywords.items.empty()) {
    entry["keywords"] = python_literal(request.keywords, kMaxTraceText);
  }
  const auto start = Flow::Clock::now();
  flow.job.tools->call(
      {request.tool, std::move(request.arguments), std::move(request.keywords), flow.job.files,
       flow.tool->cancelled},
      [this, flow_id = flow.id, id, entry, start](ToolReply reply) {
        const std::chrono::duration<double, std::milli> took = Flow::Clock::now() - start;
        Json timed = entry;
        if (reply.value) {
          timed["result"] = python_literal(*reply.value, kMaxTraceText);
        } else {
          timed["fault"] = reply.infra.empty() ? reply.fault : reply.infra;
        }
        timed["ms"] = took.count();
        post([this, flow_id, id, reply = std::move(reply), timed = std::move(timed)] {
          finish_tool(flow_id, id, reply, timed);
        });
      });
}

void WorkflowLoop::finish_tool(uint64_t flow_id, uint32_t id, const ToolReply& reply, Json entry) {
  --num_tool_calls_;
  const auto found = flows_.find(flow_id);
  if (found == flows_.end() || found->second->decided) return;
  Flow& flow = *found->second;
  flow.tool.reset();
  flow.result.usage.clock_decisions += reply.met_time_limit;
  flow.result.trace.push_back(std::move(entry));
  if (!reply.infra.empty()) {
    flow.decide(Status::kInfrastructure, "a tool: " + reply.infra);
  } else {
    flow.unsent += reply.value ? reply_frame(id, true, *reply.value)
                               : reply_frame(id, false, PythonValue::str(reply.fault));
  }
  flush(flow);
  settle(flow);
}

void WorkflowLoop::finish_exec(uint64_t flow_id, uint32_t id, const Verdict& verdict, Json entry) {
  --num_execs_;
  const auto found = flows_.find(flow_id);
  if (found == flows_.end() || found->second->decided) return;
  Flow& flow = *found->second;
  flow.exec.reset();
  flow.result.usage.clock_decisions += verdict.met_time_limit();
  flow.result.trace.push_back(std::move(entry));
  if (!verdict.refusal.empty()) {
    flow.unsent += reply_frame(id, false, PythonValue::str("exec_code: " + verdict.refusal));
  } else if (verdict.infra) {
    flow.decide(Status::kInfrastructure, "exec_code: " + verdict.tests.at(0).detail);
  } else {
    const auto report = exec_report(flow.job.entry_point, flow.job.public_tests, verdict);
    flow.unsent += reply_frame(id, true, report);
  }
  flush(flow);
  settle(flow);
}

}  // namespace weft
