#include "workflow/answer_scorer.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "sandbox/facts/symbolic_equality.h"
#include "sandbox/trusted/trusted_function.h"
#include "sandbox/trusted/trusted_queue.h"
#include "workflow/run_workflow.h"
#include "workflow/user_function.h"

namespace weft {
namespace {

AnswerVerdict verdict_of(const TextScore& score) {
  AnswerVerdict verdict;
  verdict.score = score.score;
  verdict.exact_match = score.exact_match;
  verdict.rule = score.rule;
  return verdict;
}

constexpr std::string_view kFilePrefix = "file:";

/// Raised by whoever changes what an answer is worth. Before 2 the texts were compared.
constexpr std::string_view kAnswerRules = "2";

/// A user's function that scores an answer, and what it is called in messages.
struct OwnScorer {
  TrustedFunction function;
  std::string name;
  const char* rule;
};

OwnScorer scorer_of_file(Sandbox& sandbox, const std::string& file) {
  return {
      {sandbox, read_user_file(file), "score", user_function_limits()}, file + ": score()", "file"};
}

OwnScorer checker_of(Sandbox& sandbox, const Task& task) {
  return {{sandbox, task.checker, "check", user_function_limits(), task.files},
          "the checker of task \"" + task.id + "\": check()",
          "checker"};
}

AnswerVerdict ask_own(const OwnScorer& scorer, const Task& task, const std::string& answer) {
  AnswerVerdict verdict;
  verdict.rule = scorer.rule;
  const auto reply =
      scorer.function.call({PythonValue::str(to_valid_utf8(answer)), task_for_user(task)});
  if (!reply.value) {
    verdict.infra = scorer.name + ": " + reply.fault;
    return verdict;
  }
  const auto score = number_of(*reply.value);
  if (score && *score >= 0 && *score <= 1) {
    verdict.score = *score;
  } else {
    verdict.infra = scorer.name + " gave " + python_literal(*reply.value, 100) +
                    ", expected True, False or a number from 0 to 1";
  }
  return verdict;
}

}  // namespace

class AnswerScorer::Impl {
 public:
  Impl(Sandbox& sandbox, const ScorerChoice& scorer)
      : sandbox_(sandbox),
        scorer_(scorer),
        has_symbols_(has_symbols(sandbox)),
        queue_(static_cast<size_t>(sandbox.options().num_slots)) {
    if (!scorer.file.empty()) of_file_.emplace(scorer_of_file(sandbox, scorer.file));
  }

  void submit(const Task& task, const std::string& answer,
              std::function<void(AnswerVerdict)> done) {
    if (!task.checker.empty()) {
      return wait_for(
          [this, task, answer] { return ask_own(checker_of(sandbox_, task), task, answer); },
          std::move(done));
    }
    if (of_file_) {
      return wait_for([this, task, answer] { return ask_own(*of_file_, task, answer); },
                      std::move(done));
    }
    TextScore score;
    try {
      score = score_answer(task, answer, scorer_.rules);
    } catch (const Error& error) {  // a regular expression that gave up on the text
      AnswerVerdict verdict;
      verdict.infra = error.what();
      return done(std::move(verdict));
    }
    if (!score.question || !has_symbols_) return done(verdict_of(score));
    wait_for([this, score = std::move(score)] { return ask(score); }, std::move(done));
  }

 private:
  void wait_for(std::function<AnswerVerdict()> ask, std::function<void(AnswerVerdict)> done) {
    queue_.submit([ask = std::move(ask), done = std::move(done)] {
      AnswerVerdict verdict;
      try {
        verdict = ask();
      } catch (const Error& error) {
        verdict.infra = error.what();
      }
      done(std::move(verdict));
    });
  }

  AnswerVerdict ask(const TextScore& score) const {
    AnswerVerdict verdict = verdict_of(score);
    const SymbolicAnswer answer = ask_symbols(sandbox_, *score.question);
    verdict.score = answer == SymbolicAnswer::kEqual ? 1 : 0;
    verdict.met_limit = answer == SymbolicAnswer::kLimit;
    verdict.rule += ", symbols";
    return verdict;
  }

  Sandbox& sandbox_;
  const ScorerChoice scorer_;
  const bool has_symbols_;
  std::optional<OwnScorer> of_file_;
  TrustedQueue queue_;  // ends first: its work uses the others
};

AnswerScorer::AnswerScorer(Sandbox& sandbox, const ScorerChoice& scorer)
    : impl_(std::make_unique<Impl>(sandbox, scorer)) {}

AnswerScorer::~AnswerScorer() = default;

void AnswerScorer::submit(const Task& task, const std::string& answer,
                          std::function<void(AnswerVerdict)> done) {
  impl_->submit(task, answer, std::move(done));
}

std::string ScorerChoice::name() const {
  return file.empty() ? to_string(rules) : std::string(kFilePrefix) + file;
}

ScorerChoice parse_scorer_choice(const std::string& text) {
  ScorerChoice choice;
  if (text.starts_with(kFilePrefix)) {
    choice.file = text.substr(kFilePrefix.size());
    if (!choice.file.empty()) return choice;
  }
  for (const Scorer rules : {Scorer::kOfficial, Scorer::kAflow}) {
    choice.rules = rules;
    if (text == to_string(rules)) return choice;
  }
  throw InputError("scorer: expected official, aflow or file:FILE, got \"" + text + "\"");
}

void add_scorer_inputs(RunInputs& inputs, const ScorerChoice& choice,
                       const std::vector<Task>& tasks) {
  if (!choice.file.empty()) {
    inputs.files("scorer", {choice.file});
    return;
  }
  const bool has_answers = std::any_of(tasks.begin(), tasks.end(), [](const Task& task) {
    return task.kind != TaskKind::kCode && task.checker.empty();
  });
  if (!has_answers) return;
  inputs.content("answer_rules", hash64(kAnswerRules),
                 "rules of math, qa and choice answers, version " + std::string(kAnswerRules));
}

namespace {

// Asks a code task's checker about an answer that raises: whatever the checker makes of it, it has
// to load and to come as far as the answer.
void require_working_checker(Judge& judge, const Task& task) {
  const auto& tests = task.public_tests.empty() ? task.val_tests : task.public_tests;
  if (tests.empty()) return;
  JudgeRequest request =
      judge_request(task, "def answer(*args, **kwargs): raise ValueError('a trial')\n",
                    {tests.front()}, Limits{});
  request.entry_point = "answer";
  request.setup.clear();
  const Verdict verdict = judge.run(request);
  if (!verdict.infra) return;
  throw InputError("task \"" + task.id + "\": " + verdict.tests[0].detail +
                   " (on its first test, with an answer that raises)");
}

}  // namespace

void require_working_scorer(Sandbox& sandbox, const ScorerChoice& choice,
                            const std::vector<Task>& tasks) {
  std::set<std::string> tried;  // checkers, and "" for the file
  std::set<std::string> tried_of_code;
  std::optional<Judge> judge;
  for (const Task& task : tasks) {
    if (task.kind == TaskKind::kCode) {
      if (task.checker.empty() || !tried_of_code.insert(task.checker).second) continue;
      if (!judge) judge.emplace(sandbox);
      require_working_checker(*judge, task);
      continue;
    }
    if (!task.checker.empty() || !choice.file.empty()) {
      if (!tried.insert(task.checker).second) continue;
      const OwnScorer own =
          task.checker.empty() ? scorer_of_file(sandbox, choice.file) : checker_of(sandbox, task);
      const std::string fault = ask_own(own, task, task.answer).infra;
      if (fault.empty()) continue;
      throw InputError("scorer: " + fault + " (on the gold answer of task \"" + task.id + "\")");
    }
    if ((task.dataset != "math" && task.dataset != "math500") || has_symbols(sandbox)) continue;
    throw InputError("task \"" + task.id + "\": answers of dataset " + task.dataset +
                     " are compared by SymPy, which the sandbox has none of: run "
                     "scripts/sandbox_packages.sh DIR once, and set packages=DIR");
  }
}

}  // namespace weft
