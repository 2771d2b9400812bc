#include "workflow/answer_scorer.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "sandbox/facts/symbolic_equality.h"

namespace weft {
namespace {

AnswerVerdict verdict_of(const TextScore& score) {
  AnswerVerdict verdict;
  verdict.score = score.score;
  verdict.exact_match = score.exact_match;
  verdict.rule = score.rule;
  return verdict;
}

}  // namespace

class AnswerScorer::Impl {
 public:
  Impl(Sandbox& sandbox, Scorer scorer)
      : sandbox_(sandbox), scorer_(scorer), has_symbols_(has_symbols(sandbox)) {}

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
    TextScore score = score_answer(task, answer, scorer_);
    if (!score.question || !has_symbols_) return done(verdict_of(score));
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back({std::move(score), std::move(done)});
      const auto most = static_cast<size_t>(sandbox_.options().num_slots);
      if (idle_ == 0 && threads_.size() < most) threads_.emplace_back([this] { work(); });
    }
    changed_.notify_one();
  }

 private:
  struct Item {
    TextScore score;
    std::function<void(AnswerVerdict)> done;
  };

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
      item.done(ask(item.score));
      lock.lock();
    }
  }

  AnswerVerdict ask(const TextScore& score) const {
    AnswerVerdict verdict = verdict_of(score);
    try {
      const SymbolicAnswer answer = ask_symbols(sandbox_, *score.question);
      verdict.score = answer == SymbolicAnswer::kEqual ? 1 : 0;
      verdict.met_limit = answer == SymbolicAnswer::kLimit;
      verdict.rule += ", symbols";
    } catch (const Error& error) {
      verdict.infra = error.what();
    }
    return verdict;
  }

  Sandbox& sandbox_;
  const Scorer scorer_;
  const bool has_symbols_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> waiting_;
  std::vector<std::thread> threads_;  // as many as slots, made when there is work for one more
  size_t idle_ = 0;
  bool ending_ = false;
};

AnswerScorer::AnswerScorer(Sandbox& sandbox, Scorer scorer)
    : impl_(std::make_unique<Impl>(sandbox, scorer)) {}

AnswerScorer::~AnswerScorer() = default;

void AnswerScorer::submit(const Task& task, const std::string& answer,
                          std::function<void(AnswerVerdict)> done) {
  impl_->submit(task, answer, std::move(done));
}

void require_symbols(Sandbox& sandbox, const std::vector<Task>& tasks) {
  if (has_symbols(sandbox)) return;
  for (const Task& task : tasks) {
    if (task.dataset != "math" && task.dataset != "math500") continue;
    throw InputError("task \"" + task.id + "\": answers of dataset " + task.dataset +
                     " are compared by SymPy, which the sandbox has none of: run "
                     "scripts/sandbox_packages.sh DIR once, and set packages=DIR");
  }
}

}  // namespace weft
