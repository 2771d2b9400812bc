#include "trainer/evaluate/backend.h"

#include <map>
#include <memory>
#include <utility>

#include "data/trajectory_store.h"

namespace weft {

namespace {

/// An answer as an outcome that no workflow was run for.
void score_given(Judge& judge, AnswerScorer& scorer, const Limits& limits, GivenAnswer request,
                 std::function<void(Outcome)> done) {
  auto outcome = std::make_shared<Outcome>();
  outcome->kind = Outcome::Kind::kScored;
  outcome->answer = std::move(request.answer);
  if (!request.tests) {
    const std::string answer = outcome->answer;
    return scorer.submit(*request.task, answer,
                         [outcome, done = std::move(done)](const AnswerVerdict& verdict) {
                           add_verdict(*outcome, verdict);
                           done(std::move(*outcome));
                         });
  }
  JudgeRequest judged = judge_request(*request.task, outcome->answer, *request.tests, limits);
  judged.setup.clear();
  judged.cancelled = request.cancelled;
  judge.submit(std::move(judged), [outcome, done = std::move(done)](const Verdict& verdict) {
    outcome->wall_ms = verdict.wall_ms;
    add_verdict(*outcome, verdict);
    done(std::move(*outcome));
  });
}

}  // namespace

EvaluationBackend make_backend(const BackendParts& parts, const std::vector<Method>& methods,
                               std::function<MetaModel(const Method&)> meta_model) {
  auto pools = std::make_shared<std::map<std::string, WorkflowPool>>();
  for (const Method& method : methods) {
    if (method.kind != MethodKind::kHybrid || pools->count(method.store)) continue;
    const TrajectoryStore store(method.store, StoreAccess::kRead);
    pools->emplace(method.store, WorkflowPool(store.select()));
  }
  EvaluationBackend backend;
  const MetaAgent& agent = parts.agent;
  backend.environment = parts.environment;
  backend.score = [&judge = parts.judge, &scorer = parts.scorer, limits = parts.answer_limits](
                      GivenAnswer request, std::function<void(Outcome)> done) {
    score_given(judge, scorer, limits, std::move(request), std::move(done));
  };
  backend.meta_model = std::move(meta_model);
  backend.pooled_code = [&agent, pools, near = parts.pool_min_similarity](const Method& method,
                                                                          const Task& task) {
    const auto route = pools->at(method.store).route(agent.query(task));
    return route && route->similarity >= near ? route->entry->best.code : std::string();
  };
  return backend;
}

}  // namespace weft
