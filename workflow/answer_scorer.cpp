#include "workflow/answer_scorer.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "sandbox/facts/symbolic_equality.h"
#include "sandbox/trusted/trusted_function.h"

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

/// A user's function that scores an answer, and what it is called in messages.
struct OwnScorer {
  TrustedFunction function;
  std::string name;
  const char* rule;
};

Limits limits_of_own() {
  Limits limits;
  limits.cpu_ms = 10000;
  limits.memory_mb = 1024;
  return limits;
}

OwnScorer scorer_of_file(Sandbox& sandbox, const std::string& file) {
  return {{sandbox, read_file(file), "score", limits_of_own()}, file + ": score()", "file"};
}

OwnScorer checker_of(Sandbox& sandbox, const Task& task) {
  return {{sandbox, task.checker, "check", limits_of_own()},
          "the checker of task \"" + task.id + "\": check()",
          "checker"};
}

AnswerVerdict ask_own(const OwnScorer& scorer, const Task& task, const std::string& answer) {
  AnswerVerdict verdict;
  verdict.rule = scorer.rule;
  const Json seen = {{"id", task.id},
                     {"dataset", task.dataset},
                     {"kind", to_string(task.kind)},
                     {"prompt", task.prompt},
                     {"answer", task.answer}};
  const auto reply = scorer.function.call(
      {PythonValue::str(to_valid_utf8(answer)), value_from_json(seen, "task")});
  if (!reply.value) {
    verdict.infra = scorer.name + ": " + reply.fault;
    return verdict;
  }
  const PythonValue& value = *reply.value;
  const bool is_whole =
      value.kind == PythonValue::Kind::kBool || value.kind == PythonValue::Kind::kInt;
  const double score = is_whole ? static_cast<double>(value.number) : value.real;
  if ((is_whole || value.kind == PythonValue::Kind::kFloat) && score >= 0 && score <= 1) {
    verdict.score = score;
  } else {
    verdict.infra = scorer.name + " gave " + python_literal(value, 100) +
                    ", expected True, False or a number from 0 to 1";
  }
  return verdict;
}

}  // namespace

class AnswerScorer::Impl {
 public:
  Impl(Sandbox& sandbox, const ScorerChoice& scorer)
      : sandbox_(sandbox), scorer_(scorer), has_symbols_(has_symbols(sandbox)) {
    if (!scorer.file.empty()) of_file_.emplace(scorer_of_file(sandbox, scorer.file));
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
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
  struct Item {
    std::function<AnswerVerdict()> ask;
    std::function<void(AnswerVerdict)> done;
  };

  void wait_for(std::function<AnswerVerdict()> ask, std::function<void(AnswerVerdict)> done) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back({std::move(ask), std::move(done)});
      const auto most = static_cast<size_t>(sandbox_.options().num_slots);
      if (idle_ == 0 && threads_.size() < most) threads_.emplace_back([this] { work(); });
    }
    changed_.notify_one();
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      --idle_;
      if (waiting_.empty()) return;
      const Item item = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      AnswerVerdict verdict;
      try {
        verdict = item.ask();
      } catch (const Error& error) {
        verdict.infra = error.what();
      }
      item.done(std::move(verdict));
      lock.lock();
    }
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
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> waiting_;
  std::vector<std::thread> threads_;  // as many as slots, made when there is work for one more
  size_t idle_ = 0;
  bool ending_ = false;
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

void require_working_scorer(Sandbox& sandbox, const ScorerChoice& choice,
                            const std::vector<Task>& tasks) {
  std::set<std::string> tried;  // checkers, and "" for the file
  for (const Task& task : tasks) {
    if (task.kind == TaskKind::kCode) continue;
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
