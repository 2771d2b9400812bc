/// Pass or fail of a candidate program, decided outside the process that ran it.
///
/// The candidate's process never holds an expected value or a verdict: it gets arguments and
/// returns plain values, which are compared here. Source: docs/sandbox.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/task_files.h"
#include "sandbox/jail/job_result.h"
#include "sandbox/jail/limits.h"
#include "sandbox/jail/sandbox.h"

namespace weft {

enum class Mode {
  kCall,    ///< call `entry_point` per test, compare its value
  kStdio,   ///< run as `__main__` per test, compare its standard output; it must end with status 0
  kJudge,   ///< `checker` defines check(candidate, test) -> bool and runs in a slot of its own
  kInproc,  ///< test code beside the candidate: weak, only under SandboxOptions::allow_inproc
};

/// Mode named "call", "stdio", "judge" or "inproc"; throws InputError naming the choices.
Mode parse_mode(const std::string& name);

struct JudgeRequest {
  std::string code;
  std::string entry_point;  ///< "f", or "Solution().f": a new object each call
  std::string setup;        ///< Python run before `code` in the same namespace
  std::string checker;      ///< kJudge only
  Mode mode = Mode::kCall;
  /// docs/formats.md. kCall: {"args","kwargs"?,"expected","compare"?} or {"code":"assert f(1) ==
  /// 2"}, or, for arguments that are no plain data, {"call":"f(Node(1))","before"?:"statements",
  /// "expected","compare"?}, evaluated beside the candidate; kStdio: {"input","output","compare"?};
  /// kInproc: {"code"}; kJudge: any object.
  std::vector<Json> tests;
  Limits limits;
  TaskFiles files;  ///< read-only in the working folder of code and checker, within scratch_mb
  /// The tests after the first that does not pass are kSkipped: for who asks only whether all pass.
  bool stop_at_first_failure = false;
  /// May be set on any thread: the verdict has become pointless. Tests that have not ended by then
  /// are kSkipped. Null where that cannot happen.
  std::shared_ptr<const std::atomic<bool>> cancelled;

  bool is_cancelled() const { return cancelled && cancelled->load(); }
};

struct Verdict {
  std::vector<TestResult> tests;  ///< one per declared test, in order
  int passed = 0;
  int declared = 0;
  int64_t cpu_ms = 0;     ///< of the whole job
  int64_t wall_ms = 0;    ///< of the whole job
  double time_scale = 1;  ///< by which the limits of time were multiplied, as Sandbox::time_scale
  double peak_mb = 0;     ///< resident, the interpreter's shared pages included
  bool weak = false;      ///< forgeable: Mode::kInproc
  bool infra = false;     ///< some test is kInfra; the verdict is no statement about the candidate
  /// Of submit only: why the request is malformed and nothing was run; its tests are then kInfra.
  std::string refusal;
  std::string tier;

  double pass_rate() const;         ///< passed / declared; 0 when nothing is declared
  bool met_time_limit() const;      ///< some test ended by TIME_CPU or TIME_WALL
  std::string row_verdict() const;  ///< "PASS" when all passed, else the first failing test's name
};

/// Throws InputError, opening with "test N", for a test that no request of this mode could be
/// judged on: of another form, with an unknown field or comparer, or of no Python value. What a
/// test that is code says is left to Judge::check.
void check_tests(const std::vector<Json>& tests, Mode mode);

/// The output row of `judge`, without "id".
Json to_json(const Verdict& verdict);

/// Thread-safe.
class Judge {
 public:
  explicit Judge(Sandbox& sandbox);
  ~Judge();
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  /// Throws InputError where run() would for a malformed request, and Error where the sandbox
  /// fails. Runs nothing of the candidate; blocks for a free slot only where a test is code.
  void check(const JudgeRequest& request);

  /// Blocks for a free slot and the run. Whatever the candidate does is a value; throws InputError
  /// for a malformed request (an unknown comparer, a code test that is not
  /// `assert f(literals) == literal`, kInproc without allow_inproc). Infrastructure failures are
  /// retried once, then reported as kInfra.
  Verdict run(const JudgeRequest& request);

  /// The same without blocking; `done` is called on one of the judge's threads and must not block.
  /// Requests are taken in order, cancelled ones first.
  /// A malformed request gives a verdict of kInfra tests and a `refusal`.
  void submit(JudgeRequest request, std::function<void(Verdict)> done);

  /// Declared tests that were parsed so far: those of a task once, however many its candidates.
  int64_t num_tests_prepared() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
