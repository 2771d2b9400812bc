/// POST /v1/workflows without HTTP: a query in, the workflow that the meta-agent writes for it and,
/// if asked, what came of running it, out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/task.h"
#include "data/trajectory_log.h"
#include "model/text_model.h"
#include "serve/request.h"
#include "workflow/environment.h"
#include "workflow/pool.h"
#include "workflow/workbench.h"

namespace weft {

using EventSink = std::function<void(Json)>;

/// A workflow request as read from its body.
struct WorkflowCall {
  Task task;
  bool execute = true;
  bool stream = false;
  SamplingParams sampling;  ///< of the meta-agent; max_tokens 0: not given
  bool has_seed = false;
  WorkflowBudget budget;  ///< the server's, lowered where the request asks for less
};

/// {"query" or "task", "entry_point"?, "execute"?, "stream"?, "budget"?, "temperature"?, "top_p"?,
/// "max_tokens"?, "seed"?}. "task" is an object as in task files, id and dataset optional. The
/// budget has the fields of WorkflowBudget; an unknown one and one above the server's are refused.
/// Throws ApiError 400.
WorkflowCall parse_workflow_call(const Json& body, const WorkflowBudget& most);

/// What the service asks of the rest of the system; functions, so that it runs without a jail or
/// weights in tests. Called from any thread.
struct WorkflowBackend {
  std::shared_ptr<WorkflowEnvironment> environment;  ///< prompts and checks of all requests
  /// An environment for the run of one request: with this budget, and telling `on_event` (may be
  /// empty) of {"type":"call",...} and {"type":"reply",...}, on any thread.
  std::function<std::unique_ptr<WorkflowEnvironment>(const WorkflowBudget&, EventSink on_event)>
      open;
  /// Stored code for a near query; may be empty, and may find none.
  std::function<std::string(const Task&)> pooled_code;
  /// Takes each workflow that was written, run or not, as a row without origin and model_version;
  /// may be empty. Does not block.
  std::function<void(Trajectory)> keep;
  std::function<TrajectoryLog::Counts()> kept;  ///< with `keep`: what became of them
};

/// Each run has an environment over its own WorkflowRunner, so that budget, events and end are the
/// request's own. Borrows everything but the options; `pool` may be null.
WorkflowBackend make_workflow_backend(Workbench& bench, TextModel& worker, RunnerOptions options,
                                      const WorkflowPool* pool, double pool_min_similarity);

/// Any thread; borrows model and backend.
class WorkflowService {
 public:
  /// Workflows are written by `model` with `adapter`; `name` is shown in answers.
  WorkflowService(TextModel& model, std::string adapter, std::string name, WorkflowBackend backend,
                  int max_tokens = 768);

  /// Blocks. `on_event` (may be empty) gets, on any thread: {"type":"token","text"} while the
  /// workflow is written, {"type":"workflow",...} once it is, then its calls and replies.
  /// Returns {"id","workflow","valid","problem"?,"reasoning","steps","answer"?,"outcome"?,"error"?,
  /// "trace","usage"}. Throws ApiError when the meta-agent cannot be asked (4xx refused, 502
  /// failed, 499 cancelled).
  Json handle(const WorkflowCall& call, const EventSink& on_event, CancelFlag cancelled) const;

  /// What became of the workflows that are to be stored; nothing where none are.
  std::optional<TrajectoryLog::Counts> kept() const;

 private:
  struct Written;
  Written write(const WorkflowCall& call, const EventSink& on_event, CancelFlag cancelled) const;
  void keep(const WorkflowCall& call, const Written& written, const Outcome* outcome) const;

  TextModel& model_;
  std::string adapter_, name_;
  WorkflowBackend backend_;
  int max_tokens_;
};

}  // namespace weft
