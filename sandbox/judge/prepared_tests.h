/// Declared tests, ready to run: what is sent to a candidate and what its answer is compared with.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sandbox/jail/slot_pool.h"
#include "sandbox/judge/judge.h"
#include "sandbox/value/compare.h"

namespace weft {

struct PreparedTest {
  PythonValue call;      ///< kCall: (args, kwargs); kJudge: the test; kInproc: its text
  PythonValue expected;  ///< kCall
  Comparer comparer;     ///< kCall
  std::string input;     ///< kStdio
  std::string output;    ///< kStdio
  OutputComparer output_comparer;
};
using PreparedTests = std::vector<PreparedTest>;

/// Declared tests, those apart that are Python code (of Mode::kCall): they are left empty.
/// Throws InputError naming the test and what is wrong with it.
PreparedTests prepare_tests(const std::vector<Json>& tests, Mode mode);

/// Whether some test of the request is Python code to be taken apart.
bool has_code_tests(const JudgeRequest& request);

/// Fills in the tests that are Python code, `assert f(args) == literal`, read with Python's own
/// parser in the jail. Throws InputError where one has another form, Error where the slot fails.
void split_code_tests(const JudgeRequest& request, SlotPool::Lease& lease, double time_scale,
                      PreparedTests& tests);

/// Tests that were prepared for one request, for the others with the same tests: each candidate of
/// a task brings them again. Keeps the latest, up to kMaxBytes. Thread-safe.
class PreparedTestCache {
 public:
  static constexpr size_t kMaxBytes = 128 << 20;

  /// What tells a request's tests from those of others.
  static std::string key_of(const JudgeRequest& request);

  std::shared_ptr<const PreparedTests> find(const std::string& key) const;
  std::shared_ptr<const PreparedTests> add(const std::string& key, PreparedTests tests);

  int64_t num_prepared() const;  ///< tests added so far

 private:
  struct Entry {
    std::shared_ptr<const PreparedTests> tests;
    size_t bytes = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::deque<std::string> order_;  ///< of entries_, oldest first
  size_t bytes_ = 0;
  int64_t num_prepared_ = 0;
};

}  // namespace weft
