/// What an evaluation asks of the rest of the system, as functions, so that it runs without a jail
/// or weights in tests.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/task.h"
#include "model/text_model.h"
#include "sandbox/judge/judge.h"
#include "trainer/evaluate/methods.h"
#include "workflow/answer_scorer.h"
#include "workflow/environment.h"
#include "workflow/meta_agent.h"
#include "workflow/pool.h"

namespace weft {

/// A meta-agent's weights.
struct MetaModel {
  TextModel* model = nullptr;  ///< borrowed
  std::string adapter;
};

/// An answer that is there already, to be scored as it is.
struct GivenAnswer {
  const Task* task = nullptr;  ///< borrowed until the outcome is delivered
  std::string answer;          ///< a whole program where the task is code; its setup is not run
  const std::vector<Json>* tests = nullptr;  ///< borrowed likewise; null for tasks without tests
  CancelFlag cancelled;
};

/// All are called on the thread of evaluate(); `score` must not block, and delivers on any thread.
struct EvaluationBackend {
  WorkflowEnvironment* environment = nullptr;  ///< borrowed; null where no method runs workflows
  std::function<void(GivenAnswer, std::function<void(Outcome)>)> score;
  /// Weights of a meta or hybrid method.
  std::function<MetaModel(const Method&)> meta_model;
  /// Stored code for a query near enough to a stored one, or empty; hybrid methods only.
  std::function<std::string(const Method&, const Task&)> pooled_code;
  std::function<int64_t()> tokens;  ///< RunModels::tokens, for the progress; may be null
};

/// What a backend borrows, and its settings.
struct BackendParts {
  const MetaAgent& agent;
  Judge& judge;
  AnswerScorer& scorer;
  WorkflowEnvironment* environment = nullptr;  ///< as EvaluationBackend's
  Limits answer_limits;                        ///< of one test of an answer that is there already
  double pool_min_similarity = kPoolMinSimilarity;
};

/// `meta_model` is the caller's; pools are read from the hybrid methods' stores.
EvaluationBackend make_backend(const BackendParts& parts, const std::vector<Method>& methods,
                               std::function<MetaModel(const Method&)> meta_model);

}  // namespace weft
