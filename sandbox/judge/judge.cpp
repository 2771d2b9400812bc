#include "sandbox/judge/judge.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/known_fields.h"
#include "sandbox/judge/judge_run.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

std::string test_place(size_t index) { return "test " + std::to_string(index); }

const Json* field(const Json& test, const char* key) {
  const auto found = test.find(key);
  return found == test.end() ? nullptr : &*found;
}

// (args, kwargs)
PythonValue arguments_of(const Json& test, const std::string& where) {
  const Json* args = field(test, "args");
  if (!args || !args->is_array()) throw_field_error(where, "args", "an array", args);
  PythonValue arguments = value_from_json(*args, where);
  arguments.kind = PythonValue::Kind::kTuple;
  PythonValue keywords;
  keywords.kind = PythonValue::Kind::kDict;
  if (const Json* kwargs = field(test, "kwargs")) {
    if (!kwargs->is_object()) throw_field_error(where, "kwargs", "an object", kwargs);
    for (const auto& [key, value] : kwargs->items()) {
      keywords.items.push_back(PythonValue::str(key));
      keywords.items.push_back(value_from_json(value, where));
    }
  }
  return PythonValue::tuple({std::move(arguments), std::move(keywords)});
}

// (statements, expression)
PythonValue expression_of(const Json& test, const std::string& where) {
  for (const char* key : {"args", "kwargs"}) {
    if (field(test, key)) throw InputError(where + ": expected \"call\" or \"args\", got both");
  }
  refuse_unknown_fields(test, {"call", "before", "expected", "compare"}, where);
  return PythonValue::tuple({PythonValue::str(get_field_or<std::string>(test, "before", "", where)),
                             PythonValue::str(get_field<std::string>(test, "call", where))});
}

PreparedTest prepare_call(const Json& test, const std::string& where) {
  PreparedTest prepared;
  if (field(test, "code")) {  // read by Python and filled in by split_code_tests
    refuse_unknown_fields(test, {"code"}, where);
    get_field<std::string>(test, "code", where);
    return prepared;
  }
  if (!field(test, "call")) {
    refuse_unknown_fields(test, {"args", "kwargs", "expected", "compare"}, where);
  }
  const Json* expected = field(test, "expected");
  prepared.call = field(test, "call") ? expression_of(test, where) : arguments_of(test, where);
  if (!expected) throw_field_error(where, "expected", "a value", nullptr);
  prepared.expected = value_from_json(*expected, where);
  const Json* compare = field(test, "compare");
  prepared.comparer = Comparer::from_json(compare ? *compare : Json(), where);
  return prepared;
}

PreparedTest prepare_stdio(const Json& test, const std::string& where) {
  refuse_unknown_fields(test, {"input", "output", "compare"}, where);
  PreparedTest prepared;
  prepared.input = get_field<std::string>(test, "input", where);
  prepared.output = get_field<std::string>(test, "output", where);
  const Json* compare = field(test, "compare");
  prepared.output_comparer = OutputComparer::from_json(compare ? *compare : Json(), where);
  return prepared;
}

PreparedTest prepare_test(const Json& test, Mode mode, size_t index) {
  const std::string where = test_place(index);
  if (!test.is_object())
    throw InputError(where + ": expected an object, got " + describe_type(test));
  switch (mode) {
    case Mode::kCall:
      return prepare_call(test, where);
    case Mode::kStdio:
      return prepare_stdio(test, where);
    case Mode::kJudge: {
      PreparedTest prepared;
      prepared.call = value_from_json(test, where);
      return prepared;
    }
    case Mode::kInproc: {
      refuse_unknown_fields(test, {"code"}, where);
      PreparedTest prepared;
      prepared.call = PythonValue::str(get_field<std::string>(test, "code", where));
      return prepared;
    }
  }
  return {};
}

// Reads `assert f(args) == literal` with Python's own parser, in the jail.
void split_code_tests(PreparedRequest& prepared, SlotPool::Lease& lease) {
  if (prepared.request.mode != Mode::kCall) return;
  std::vector<PythonValue> codes;
  std::vector<size_t> places;
  for (size_t i = 0; i < prepared.tests.size(); ++i) {
    if (!field(prepared.request.tests[i], "code")) continue;
    codes.push_back(
        PythonValue::str(get_field<std::string>(prepared.request.tests[i], "code", test_place(i))));
    places.push_back(i);
  }
  if (codes.empty()) return;
  lease.choose(Flavour::kStd);
  const auto parsed = run_builtin(
      lease.zygote(), "parse_asserts",
      {PythonValue::list(std::move(codes)), PythonValue::str(prepared.request.entry_point)},
      prepared.time_scale);
  if (!parsed.value || parsed.value->items.size() != places.size()) {
    throw InputError("code tests: cannot be parsed: " + parsed.failure);
  }
  for (size_t k = 0; k < places.size(); ++k) {
    const auto& items = parsed.value->items[k].items;
    if (items.size() != 4) {
      throw InputError(
          test_place(places[k]) + ": expected \"assert " + prepared.request.entry_point +
          "(literals) == literal\": " + (items.size() == 2 ? items[1].text : "unreadable") +
          "; give args and expected, or use mode inproc");
    }
    PreparedTest& test = prepared.tests[places[k]];
    test.call = PythonValue::tuple({items[1], items[2]});
    test.expected = items[3];
  }
}

const char* base_name(TestVerdict verdict) {
  switch (verdict) {
    case TestVerdict::kPass:
      return "PASS";
    case TestVerdict::kWrong:
      return "WRONG";
    case TestVerdict::kError:
      return "ERROR";
    case TestVerdict::kExit:
      return "EXIT";
    case TestVerdict::kUnserialisable:
      return "UNSERIALISABLE";
    case TestVerdict::kNoEntry:
      return "NO_ENTRY";
    case TestVerdict::kTimeCpu:
      return "TIME_CPU";
    case TestVerdict::kTimeWall:
      return "TIME_WALL";
    case TestVerdict::kMemory:
      return "MEMORY";
    case TestVerdict::kOutput:
      return "OUTPUT";
    case TestVerdict::kProtocol:
      return "PROTOCOL";
    case TestVerdict::kSignal:
      return "SIGNAL";
    case TestVerdict::kPolicy:
      return "POLICY";
    case TestVerdict::kSkipped:
      return "SKIPPED";
    case TestVerdict::kInfra:
      return "INFRA";
  }
  return "INFRA";
}

void fill_infra(Verdict& verdict, const std::string& reason) {
  verdict.infra = true;
  TestResult result;
  result.verdict = TestVerdict::kInfra;
  result.detail = reason;
  verdict.tests.assign(verdict.tests.size(), result);
}

}  // namespace

void Limits::validate() const {
  const auto need = [](bool ok, const char* name, const char* expected, int64_t got) {
    if (ok) return;
    throw InputError(std::string("limits.") + name + ": expected " + expected + ", got " +
                     std::to_string(got));
  };
  need(cpu_ms > 0 && cpu_ms <= 3600000, "cpu_ms", "1 to 3600000", cpu_ms);
  need(wall_ms >= 0 && wall_ms <= 36000000, "wall_ms", "0 to 36000000", wall_ms);
  need(memory_mb > 0 && memory_mb <= 1 << 20, "memory_mb", "1 to 1048576", memory_mb);
  need(output_bytes >= 0 && output_bytes <= 1 << 30, "output_bytes", "0 to 2^30", output_bytes);
  need(max_procs >= 0 && max_procs <= 1024, "max_procs", "0 to 1024", max_procs);
  need(scratch_mb >= 0 && scratch_mb <= 4096, "scratch_mb", "0 to 4096", scratch_mb);
}

Mode parse_mode(const std::string& name) {
  if (name == "call") return Mode::kCall;
  if (name == "stdio") return Mode::kStdio;
  if (name == "judge") return Mode::kJudge;
  if (name == "inproc") return Mode::kInproc;
  throw InputError("mode: expected call, stdio, judge or inproc, got \"" + name + "\"");
}

std::string TestResult::name() const {
  std::string text = base_name(verdict);
  const bool shows_detail = verdict == TestVerdict::kError || verdict == TestVerdict::kExit ||
                            verdict == TestVerdict::kSignal;
  return shows_detail ? text + "(" + detail + ")" : text;
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
  PreparedRequest prepare(const JudgeRequest& request) const;
  void check(const JudgeRequest& request);
  Verdict run(const JudgeRequest& request);
  void run_once(PreparedRequest& prepared, SlotPool::Lease& lease, Verdict& verdict);
  void work();

  Sandbox& sandbox;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<JudgeRequest, std::function<void(Verdict)>>> queue;
  bool stopping = false;
  std::vector<std::thread> threads;
};

// What the candidate will import, by its text and that of test code beside it.
Flavour flavour_of(const JudgeRequest& request, bool has_numpy) {
  Flavour flavour = flavour_for({request.setup, request.code}, has_numpy);
  for (const auto& test : request.tests) {
    const Json* code = field(test, "code");
    if (request.mode != Mode::kInproc || !code) break;
    flavour = std::max(flavour, flavour_for({code->get_ref<const std::string&>()}, has_numpy));
  }
  return flavour;
}

Verdict Judge::Impl::empty_verdict(const JudgeRequest& request) const {
  Verdict verdict;
  verdict.tests.resize(request.tests.size());
  verdict.declared = static_cast<int>(request.tests.size());
  verdict.weak = request.mode == Mode::kInproc;
  verdict.tier = sandbox.tier();
  return verdict;
}

void Judge::Impl::run_once(PreparedRequest& prepared, SlotPool::Lease& lease, Verdict& verdict) {
  split_code_tests(prepared, lease);
  lease.choose(flavour_of(prepared.request, sandbox.slots().has_numpy()));
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

PreparedRequest Judge::Impl::prepare(const JudgeRequest& request) const {
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
  PreparedRequest prepared{request, {}, sandbox.time_scale()};
  for (size_t i = 0; i < request.tests.size(); ++i) {
    prepared.tests.push_back(prepare_test(request.tests[i], request.mode, i));
  }
  return prepared;
}

void Judge::Impl::check(const JudgeRequest& request) {
  PreparedRequest prepared = prepare(request);
  const bool has_code = request.mode == Mode::kCall &&
                        std::any_of(request.tests.begin(), request.tests.end(),
                                    [](const Json& test) { return field(test, "code"); });
  if (!has_code) return;
  SlotPool::Lease lease = sandbox.slots().acquire(SlotPool::Use::kCandidate);
  SlotPool::run_retried(lease, [&] { split_code_tests(prepared, lease); });
}

Verdict Judge::Impl::run(const JudgeRequest& request) {
  PreparedRequest prepared = prepare(request);
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
      if (!request.tests.empty()) run_once(prepared, lease, verdict);
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

void check_tests(const std::vector<Json>& tests, Mode mode) {
  for (size_t i = 0; i < tests.size(); ++i) prepare_test(tests[i], mode, i);
}

void Judge::check(const JudgeRequest& request) { impl_->check(request); }

Verdict Judge::run(const JudgeRequest& request) { return impl_->run(request); }

void Judge::submit(JudgeRequest request, std::function<void(Verdict)> done) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->queue.emplace_back(std::move(request), std::move(done));
  }
  impl_->changed.notify_one();
}

}  // namespace weft
