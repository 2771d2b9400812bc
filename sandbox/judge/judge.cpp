#include "sandbox/judge/judge.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "sandbox/judge/judge_run.h"
#include "sandbox/judge/prepared_tests.h"
#include "sandbox/value/wire.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

void fill_infra(Verdict& verdict, const std::string& reason) {
  verdict.infra = true;
  TestResult result;
  result.verdict = TestVerdict::kInfra;
  result.detail = reason;
  verdict.tests.assign(verdict.tests.size(), result);
}

}  // namespace

Mode parse_mode(const std::string& name) {
  if (name == "call") return Mode::kCall;
  if (name == "stdio") return Mode::kStdio;
  if (name == "judge") return Mode::kJudge;
  if (name == "inproc") return Mode::kInproc;
  throw InputError("mode: expected call, stdio, judge or inproc, got \"" + name + "\"");
}

double Verdict::pass_rate() const {
  return declared > 0 ? static_cast<double>(passed) / declared : 0;
}

bool Verdict::met_time_limit() const {
  return std::any_of(tests.begin(), tests.end(), [](const TestResult& test) {
    return test.verdict == TestVerdict::kTimeCpu || test.verdict == TestVerdict::kTimeWall;
  });
}

std::string Verdict::row_verdict() const {
  for (const auto& test : tests) {
    if (test.verdict != TestVerdict::kPass) return test.name();
  }
  return declared > 0 ? "PASS" : "SKIPPED";
}

Json to_json(const Verdict& verdict) {
  Json tests = Json::array();
  for (const auto& test : verdict.tests) {
    Json entry{{"verdict", test.name()}};
    std::string detail = test.detail;
    if (test.verdict == TestVerdict::kError || test.verdict == TestVerdict::kMemory) {
      detail = test.error_message;
    } else if (test.verdict == TestVerdict::kExit || test.verdict == TestVerdict::kSignal) {
      detail.clear();
    } else if (test.verdict == TestVerdict::kWrong) {
      detail = "got " + test.got;
    }
    if (!detail.empty()) entry["detail"] = detail;
    tests.push_back(std::move(entry));
  }
  return {{"verdict", verdict.row_verdict()},
          {"passed", verdict.passed},
          {"declared", verdict.declared},
          {"tests", std::move(tests)},
          {"cpu_ms", verdict.cpu_ms},
          {"wall_ms", verdict.wall_ms},
          {"time_scale", verdict.time_scale},
          {"peak_mb", verdict.peak_mb},
          {"integrity", verdict.weak ? "weak" : "strong"},
          {"tier", verdict.tier}};
}

struct Judge::Impl {
  explicit Impl(Sandbox& sandbox) : sandbox(sandbox) {
    for (int i = 0; i < sandbox.options().num_slots; ++i) threads.emplace_back([this] { work(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    for (auto& thread : threads) thread.join();
  }

  Verdict empty_verdict(const JudgeRequest& request) const;
  void require_runnable(const JudgeRequest& request) const;
  void check(const JudgeRequest& request);
  Verdict run(const JudgeRequest& request);
  void run_once(const PreparedRequest& prepared, SlotPool::Lease& lease, Verdict& verdict);
  void work();

  Sandbox& sandbox;
  PreparedTestCache tests;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<JudgeRequest, std::function<void(Verdict)>>> queue;
  bool stopping = false;
  std::vector<std::thread> threads;
};

// What the candidate will import, by its text and that of test code beside it.
Flavour flavour_of(const JudgeRequest& request, const Packages& packages) {
  Flavour flavour = flavour_for({request.setup, request.code}, packages);
  for (const auto& test : request.tests) {
    if (request.mode != Mode::kInproc) break;
    flavour = std::max(flavour, flavour_for({test.at("code").get<std::string>()}, packages));
  }
  return flavour;
}

Verdict Judge::Impl::empty_verdict(const JudgeRequest& request) const {
  Verdict verdict;
  verdict.tests.resize(request.tests.size());
  verdict.declared = static_cast<int>(request.tests.size());
  verdict.weak = request.mode == Mode::kInproc;
  verdict.tier = sandbox.tier();
  verdict.time_scale = sandbox.time_scale();
  return verdict;
}

void Judge::Impl::run_once(const PreparedRequest& prepared, SlotPool::Lease& lease,
                           Verdict& verdict) {
  lease.choose(flavour_of(prepared.request, sandbox.slots().packages()));
  switch (prepared.request.mode) {
    case Mode::kCall:
    case Mode::kInproc:
      return run_calls(prepared, lease.zygote(), verdict);
    case Mode::kStdio:
      return run_stdio(prepared, lease.zygote(), verdict);
    case Mode::kJudge: {
      auto checker = sandbox.slots().acquire(SlotPool::Use::kChecker);
      try {
        return run_checked(prepared, lease.zygote(), checker.zygote(), verdict);
      } catch (const InputError&) {
        throw;
      } catch (const Error&) {  // whichever of the two it was, both are made anew
        checker.rebuild();
        throw;
      }
    }
  }
}

void Judge::Impl::require_runnable(const JudgeRequest& request) const {
  request.limits.validate();
  if (request.mode == Mode::kInproc && !sandbox.options().allow_inproc) {
    throw InputError("mode inproc is forgeable; it runs only with allow_inproc=true");
  }
  if (request.mode == Mode::kJudge && request.checker.empty()) {
    throw InputError("mode judge: expected a \"checker\" that defines check(candidate, test)");
  }
  if (sandbox.tier() == "C" && (request.limits.max_procs > 0 || request.limits.scratch_mb > 0)) {
    throw InputError("limits: max_procs and scratch_mb need namespaces, this is tier C");
  }
  request.limits.require_room_for(request.files, sandbox.tier());
  require_within_caps(job_of(request), "code and setup");
}

void Judge::Impl::check(const JudgeRequest& request) {
  require_runnable(request);
  const std::string key = PreparedTestCache::key_of(request);
  if (tests.find(key)) return;
  PreparedTests fresh = prepare_tests(request.tests, request.mode);
  if (has_code_tests(request)) {
    SlotPool::Lease lease = sandbox.slots().acquire(SlotPool::Use::kCandidate);
    SlotPool::run_retried(lease,
                          [&] { split_code_tests(request, lease, sandbox.time_scale(), fresh); });
  }
  tests.add(key, std::move(fresh));
}

Verdict Judge::Impl::run(const JudgeRequest& request) {
  require_runnable(request);
  const std::string key = PreparedTestCache::key_of(request);
  auto known = tests.find(key);
  PreparedTests fresh = known ? PreparedTests{} : prepare_tests(request.tests, request.mode);
  Verdict verdict = empty_verdict(request);
  if (request.is_cancelled()) return verdict;
  std::optional<SlotPool::Lease> taken;
  try {
    taken.emplace(sandbox.slots().acquire(SlotPool::Use::kCandidate));
  } catch (const Error& error) {
    fill_infra(verdict, error.what());
    return verdict;
  }
  if (request.is_cancelled()) return verdict;
  SlotPool::Lease& lease = *taken;
  const auto start = Clock::now();  // the wait for the slot is nobody's time
  for (int attempt = 0;; ++attempt) {
    try {
      if (request.tests.empty()) break;
      if (!known) {
        split_code_tests(request, lease, sandbox.time_scale(), fresh);
        known = tests.add(key, std::move(fresh));
      }
      run_once({request, *known, sandbox.time_scale(), sandbox.tier()}, lease, verdict);
      break;
    } catch (const InputError&) {
      throw;
    } catch (const Error& error) {
      verdict = empty_verdict(request);
      try {
        lease.rebuild();
      } catch (const Error& second) {
        fill_infra(verdict, second.what());
        break;
      }
      if (attempt == 1) {
        fill_infra(verdict, error.what());
        break;
      }
    }
  }
  for (const auto& test : verdict.tests) verdict.passed += test.verdict == TestVerdict::kPass;
  verdict.wall_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
  return verdict;
}

void Judge::Impl::work() {
  for (;;) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return stopping || !queue.empty(); });
    if (queue.empty()) return;
    const auto cancelled = std::find_if(queue.begin(), queue.end(),
                                        [](const auto& job) { return job.first.is_cancelled(); });
    const auto next = cancelled == queue.end() ? queue.begin() : cancelled;
    auto [request, done] = std::move(*next);
    queue.erase(next);
    lock.unlock();
    Verdict verdict;
    try {
      verdict = run(request);
    } catch (const InputError& error) {
      verdict = empty_verdict(request);
      verdict.refusal = error.what();
      fill_infra(verdict, error.what());
    } catch (const std::exception& error) {  // memory, threads: a thread of ours must not end by it
      verdict = empty_verdict(request);
      fill_infra(verdict, error.what());
    }
    done(std::move(verdict));
  }
}

Judge::Judge(Sandbox& sandbox) : impl_(std::make_unique<Impl>(sandbox)) {}
Judge::~Judge() = default;

void check_tests(const std::vector<Json>& tests, Mode mode) { prepare_tests(tests, mode); }

void Judge::check(const JudgeRequest& request) { impl_->check(request); }

Verdict Judge::run(const JudgeRequest& request) { return impl_->run(request); }

int64_t Judge::num_tests_prepared() const { return impl_->tests.num_prepared(); }

void Judge::submit(JudgeRequest request, std::function<void(Verdict)> done) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->queue.emplace_back(std::move(request), std::move(done));
  }
  impl_->changed.notify_one();
}

}  // namespace weft
