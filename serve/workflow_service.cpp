#include "serve/workflow_service.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <future>
#include <limits>
#include <random>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/error.h"
#include "serve/api_error.h"
#include "serve/response.h"
#include "workflow/steps.h"

namespace weft {

namespace {

constexpr size_t kShownBytes = 2000;  ///< of a worker's prompt or reply in an event

std::string shortened(const std::string& text) {
  return text.size() <= kShownBytes ? text : text.substr(0, kShownBytes) + " ...";
}

/// The worker of one run, which reports each call and its reply.
class ObservedModel : public TextModel {
 public:
  ObservedModel(TextModel& model, EventSink on_event)
      : model_(model), on_event_(std::move(on_event)) {}

  std::string name() const override { return model_.name(); }
  TextPrice price() const override { return model_.price(); }

  void submit(TextRequest request, std::function<void(TextResponse)> done) override {
    if (!on_event_) return model_.submit(std::move(request), std::move(done));
    const int call = ++calls_;
    on_event_(call_event(call, request));
    model_.submit(std::move(request),
                  [call, on_event = on_event_, done = std::move(done)](TextResponse response) {
                    on_event(reply_event(call, response));
                    done(std::move(response));
                  });
  }

 private:
  static Json call_event(int call, const TextRequest& request) {
    Json event = {{"type", "call"}, {"call", call}, {"responses", request.n}};
    if (const auto* messages = std::get_if<std::vector<ChatMessage>>(&request.prompt)) {
      for (const ChatMessage& message : *messages) {
        event[message.role == "system" ? "system" : "prompt"] = shortened(message.content);
      }
    }
    return event;
  }

  static Json reply_event(int call, const TextResponse& response) {
    Json texts = Json::array();
    for (const Completion& choice : response.choices) texts.push_back(shortened(choice.text));
    Json event = {{"type", "reply"},
                  {"call", call},
                  {"texts", std::move(texts)},
                  {"tokens", response.usage.prompt_tokens + response.usage.completion_tokens}};
    if (response.status != ResponseStatus::kOk) event["error"] = response.error;
    return event;
  }

  TextModel& model_;
  EventSink on_event_;
  std::atomic<int> calls_{0};
};

/// The environment of one run over the real sandbox.
class RequestEnvironment : private ObservedModel, public SandboxEnvironment {
 public:
  RequestEnvironment(Workbench& bench, TextModel& worker, RunnerOptions options, EventSink on_event)
      : ObservedModel(worker, std::move(on_event)),
        SandboxEnvironment(bench, static_cast<ObservedModel&>(*this), std::move(options)) {}
};

/// Waits for the end of the run or of the request, whichever is first: then the run ends at once,
/// as kInfrastructure.
Outcome run_until(const CancelFlag& cancelled, WorkflowEnvironment& environment,
                  const RunRequest& request) {
  std::promise<Outcome> promise;
  auto outcome = promise.get_future();
  environment.run(request, [&promise](Outcome o) { promise.set_value(std::move(o)); });
  const auto ended = [&outcome] {
    return outcome.wait_for(std::chrono::milliseconds(20)) == std::future_status::ready;
  };
  while (!ended() && !cancelled->load()) {
  }
  environment.stop();
  return outcome.get();
}

/// A budget as a request gives it: every field at most the server's own.
class BudgetReader {
 public:
  explicit BudgetReader(const Json& budget) : budget_(budget) {
    if (!budget.is_object()) throw ApiError(400, "budget: expected an object", "budget");
  }

  template <class T>
  void operator()(const char* key, T& most) {
    known_.insert(key);
    if constexpr (std::is_floating_point_v<T>) {
      most = number_field(budget_, key, most, 0, most);
    } else {
      const auto bound = static_cast<int64_t>(most);
      most = static_cast<T>(integer_field(budget_, key, bound, 1, bound));
    }
  }

  void check_no_unknown() const {
    for (const auto& [key, value] : budget_.items()) {
      if (known_.count(key)) continue;
      throw ApiError(
          400, fmt::format("budget: expected one of {}, got \"{}\"", fmt::join(known_, ", "), key),
          "budget");
    }
  }

 private:
  const Json& budget_;
  std::set<std::string> known_;
};

Task read_task(const Json& body) {
  const bool has_query = body.contains("query"), has_task = body.contains("task");
  if (has_query == has_task) {
    throw ApiError(400, "expected exactly one of query (a string) and task (an object)", "query");
  }
  if (has_query) {
    const std::string query = string_field(body, "query", "");
    if (query.empty()) throw ApiError(400, "query: expected a non-empty string", "query");
    return task_of_query(query, string_field(body, "entry_point", ""));
  }
  Json task = body["task"];
  if (!task.is_object()) throw ApiError(400, "task: expected an object", "task");
  if (!task.contains("id")) task["id"] = "request";
  if (!task.contains("dataset")) task["dataset"] = "jsonl";
  try {
    return parse_task(task, "task");
  } catch (const InputError& error) {
    throw ApiError(400, error.what(), "task");
  }
}

Json workflow_fields(const Workflow& workflow, const std::string& source) {
  Json json = {{"workflow", workflow.code}, {"valid", workflow.valid}, {"source", source}};
  if (!workflow.valid) json["problem"] = workflow.problem;
  json["reasoning"] = workflow.reasoning;
  json["steps"] = split_steps(workflow.code);
  return json;
}

/// What a prompt asks: its last message, or the text that it is.
std::string last_message(const decltype(TextRequest::prompt)& prompt) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  const auto* messages = std::get_if<std::vector<ChatMessage>>(&prompt);
  return messages ? messages->back().content : "";
}

/// Trajectory::outcome of what a request had written.
std::string outcome_word(const Workflow& workflow, const Outcome* outcome) {
  if (!workflow.valid) return outcome_name(Outcome::Kind::kWorkflowError);
  if (!outcome) return "written";
  return outcome->kind == Outcome::Kind::kScored ? "answered" : outcome_name(outcome->kind);
}

Json usage_json(const TextUsage& meta, const WorkflowUsage& worker) {
  const AnswerUsage sum{meta.prompt_tokens + worker.prompt_tokens,
                        meta.completion_tokens + worker.completion_tokens};
  Json usage = to_json(sum);
  usage.erase("prompt_tokens_details");  // not known of workers
  usage["meta_tokens"] = meta.prompt_tokens + meta.completion_tokens;
  usage["worker_tokens"] = worker.prompt_tokens + worker.completion_tokens;
  usage["worker_calls"] = worker.calls;
  usage["usd"] = meta.usd + worker.usd;
  return usage;
}

}  // namespace

WorkflowCall parse_workflow_call(const Json& body, const WorkflowBudget& most) {
  WorkflowCall call;
  call.task = read_task(body);
  call.execute = bool_field(body, "execute", true);
  call.stream = bool_field(body, "stream", false);
  call.sampling.temperature = number_field(body, "temperature", 0.7, 0, 2);
  call.sampling.top_p = number_field(body, "top_p", 1, 1e-6, 1);
  call.sampling.max_tokens = static_cast<int>(
      integer_field(body, "max_tokens", 0, 1, std::numeric_limits<int32_t>::max()));
  call.has_seed = body.contains("seed") && !body["seed"].is_null();
  call.sampling.seed = static_cast<uint64_t>(integer_field(
      body, "seed", 0, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
  call.budget = most;
  const Json budget = body.value("budget", Json());
  if (budget.is_null()) return call;
  BudgetReader read(budget);
  read("max_calls", call.budget.max_calls);
  read("max_responses_per_call", call.budget.max_responses_per_call);
  read("max_tokens", call.budget.max_tokens);
  read("max_usd", call.budget.max_usd);
  read("max_exec", call.budget.max_exec);
  read("wall_ms", call.budget.wall_ms);
  read("cpu_ms", call.budget.cpu_ms);
  read("memory_mb", call.budget.memory_mb);
  read.check_no_unknown();
  return call;
}

WorkflowBackend make_workflow_backend(Workbench& bench, TextModel& worker, RunnerOptions options,
                                      const WorkflowPool* pool, double pool_min_similarity) {
  WorkflowBackend backend;
  if (pool) {
    backend.pooled_code = [&agent = bench.meta_agent(), pool,
                           pool_min_similarity](const Task& task) {
      const auto route = pool->route(agent.query(task));
      const bool is_near = route && route->similarity >= pool_min_similarity;
      return is_near ? route->entry->best.code : std::string();
    };
  }
  backend.environment = std::make_shared<SandboxEnvironment>(bench, worker, options);
  backend.open = [&bench, &worker, options = std::move(options)](const WorkflowBudget& budget,
                                                                 EventSink on_event) {
    RunnerOptions of_request = options;
    of_request.budget = budget;
    return std::make_unique<RequestEnvironment>(bench, worker, std::move(of_request),
                                                std::move(on_event));
  };
  return backend;
}

struct WorkflowService::Written {
  Workflow workflow;
  std::string source;
  TextUsage usage;
  std::string query;  ///< what the meta-agent was asked; empty where it was not
};

WorkflowService::WorkflowService(TextModel& model, std::string adapter, std::string name,
                                 WorkflowBackend backend, int max_tokens)
    : model_(model),
      adapter_(std::move(adapter)),
      name_(std::move(name)),
      backend_(std::move(backend)),
      max_tokens_(max_tokens) {}

WorkflowService::Written WorkflowService::write(const WorkflowCall& call, const EventSink& on_event,
                                                CancelFlag cancelled) const {
  const WorkflowEnvironment& environment = *backend_.environment;
  if (backend_.pooled_code) {
    std::string code = backend_.pooled_code(call.task);
    if (!code.empty()) return {environment.check(std::move(code)), "pool", {}, ""};
  }
  TextRequest request;
  request.prompt = environment.prompt(call.task);
  std::string query = last_message(request.prompt);
  request.sampling = call.sampling;
  if (request.sampling.max_tokens == 0) request.sampling.max_tokens = max_tokens_;
  request.adapter = adapter_;
  request.cancelled = std::move(cancelled);
  if (on_event) {
    request.on_delta = [on_event](const StreamDelta& delta) {
      if (!delta.text.empty()) on_event({{"type", "token"}, {"text", delta.text}});
    };
  }
  TextResponse response = model_.complete(std::move(request));
  if (response.status == ResponseStatus::kRefused) throw ApiError(400, response.error, "query");
  if (response.status == ResponseStatus::kCancelled) throw ApiError(499, "request cancelled");
  if (response.status != ResponseStatus::kOk || response.choices.empty()) {
    throw ApiError(502, "meta-agent: " + response.error);
  }
  const std::string text = response.choices[0].text_with_reasoning();
  Written written{environment.parse(text), "meta", response.usage, std::move(query)};
  if (!written.workflow.valid && response.choices[0].finish == FinishReason::kLength) {
    written.workflow.problem += " (cut at max_tokens)";
  }
  if (written.workflow.code.empty()) written.workflow.reasoning = text;
  return written;
}

std::optional<TrajectoryLog::Counts> WorkflowService::kept() const {
  if (!backend_.kept) return std::nullopt;
  return backend_.kept();
}

/// `outcome` is null where the workflow was not run.
void WorkflowService::keep(const WorkflowCall& call, const Written& written,
                           const Outcome* outcome) const {
  if (!backend_.keep || written.source == "pool") return;
  const Workflow& workflow = written.workflow;
  Trajectory row;
  row.task_id = call.task.id;
  row.kind = "served";
  row.prompt = written.query;
  row.reasoning = workflow.reasoning;
  row.code = workflow.code;
  row.num_steps = workflow.num_steps;
  row.valid = workflow.valid;
  row.outcome = outcome_word(workflow, outcome);
  row.usage = usage_to_json(outcome ? outcome->usage : WorkflowUsage{});
  const std::string& error = outcome ? outcome->error : workflow.problem;
  if (!error.empty()) row.usage["error"] = error;
  row.usage["generator_calls"] = 1;
  row.usage["generator_prompt_tokens"] = written.usage.prompt_tokens;
  row.usage["generator_completion_tokens"] = written.usage.completion_tokens;
  row.usage["generator_usd"] = written.usage.usd;
  row.seed = call.sampling.seed;
  backend_.keep(std::move(row));
}

Json WorkflowService::handle(const WorkflowCall& given, const EventSink& on_event,
                             CancelFlag cancelled) const {
  WorkflowCall call = given;
  if (!call.has_seed) call.sampling.seed = std::random_device{}();
  const Written written = write(call, on_event, cancelled);
  Json answer = {
      {"id", new_id("wf")}, {"object", "workflow"}, {"created", unix_time()}, {"model", name_}};
  answer.update(workflow_fields(written.workflow, written.source));
  if (on_event) {
    Json event = {{"type", "workflow"}};
    event.update(workflow_fields(written.workflow, written.source));
    on_event(std::move(event));
  }
  answer["trace"] = Json::array();
  WorkflowUsage spent;
  if (call.execute && written.workflow.valid) {
    RunRequest request;
    request.workflow = &written.workflow;
    request.task = &call.task;
    request.seed = call.sampling.seed;
    request.score_val = false;
    const auto environment = backend_.open(call.budget, on_event);
    const Outcome outcome = run_until(cancelled, *environment, request);
    keep(call, written, &outcome);
    if (cancelled->load()) throw ApiError(499, "request cancelled");
    answer["outcome"] = outcome_name(outcome.kind);
    if (outcome.kind == Outcome::Kind::kScored) {
      answer["answer"] = outcome.answer;
    } else {
      answer["error"] = outcome.error;
    }
    answer["trace"] = outcome.trace;
    spent = outcome.usage;
  } else {
    keep(call, written, nullptr);
  }
  answer["usage"] = usage_json(written.usage, spent);
  return answer;
}

}  // namespace weft
