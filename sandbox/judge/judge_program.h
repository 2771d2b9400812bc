/// The program `judge`: JSON lines of candidates in, JSON lines of verdicts out.
#pragma once

#include <string>

#include "base/run_inputs.h"
#include "base/start_check.h"
#include "sandbox/judge/judge.h"

namespace weft {

struct JudgeConfig {
  std::string in = "-";
  std::string out = "-";
  int64_t jobs = 2;
  int64_t threads = 0;
  bool allow_inproc = false;
  std::string min_tier = "B";
  std::string packages;
  ResumeOptions resume;

  template <class V>
  void visit(V& v) {
    v("in", in, "candidates, one JSON object a line (docs/formats.md); - reads standard input");
    v("out", out, "verdicts in input order; - writes standard output");
    v("jobs", jobs, "slots, that is candidates at a time; more than cores gains nothing");
    v("threads", threads, "CPU threads, that is most candidates at a time; 0: as jobs says");
    v("allow_inproc", allow_inproc, "admit mode inproc, whose verdicts a candidate can forge");
    v("min_tier", min_tier,
      "least isolation accepted: A (user namespaces), B (root without) or C (no namespaces)");
    v("packages", packages, "folder of modules that candidates may import, e.g. numpy; or empty");
    v("resume", resume, "what may differ when a run goes on: \"rows\"");
  }
  void validate() const;
  void check_start(StartCheck& check) const;
};

/// A row of `judge`'s input. Throws InputError opened by `where`.
JudgeRequest parse_judge_row(const Json& row, const std::string& where);

/// Rows of a regular file, for progress; 0, that is unknown, of what can be read only once.
int64_t count_rows(const std::string& path);

/// Judges every row. `resume` skips ids that the output already holds with a verdict, and tries
/// those again that failed by infrastructure, in place of their old rows; at its end the output is
/// in input order. A row that was another when it was judged ("input" in the output is its hash) is
/// an InputError unless config.resume allows "rows", which keeps the old verdict. A bad line is
/// logged with its number and the rest go on. Throws Error at the end when there was one, or when a
/// row could not be judged for reasons of infrastructure.
void run_judge(const JudgeConfig& config, bool resume);

}  // namespace weft
