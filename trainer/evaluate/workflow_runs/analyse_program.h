/// The program `analyse_runs`: what recorded runs of workflows say of choosing one for each query.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/program.h"
#include "base/start_check.h"
#include "trainer/evaluate/workflow_runs/runs_analysis.h"

namespace weft {

struct AnalyseRunsConfig {
  std::vector<std::string> in;
  std::string out;
  AnalysisOptions analysis;
  int64_t threads = 0;

  template <class V>
  void visit(V& v) {
    v("in", in, "recorded runs, JSON, gzipped or not, one file a set; - for standard input");
    v("out", out, "folder of the report");
    analysis.visit(v);
    v("threads", threads, "most CPU threads, 0: all cores; it works on one");
  }
  void validate() const;  ///< throws InputError
  void check_start(StartCheck& check) const;
  /// The files of `in`; an item that is no file but has commas is a list of them.
  std::vector<std::string> files() const;
};

/// Writes report.json, report.md and coverage.svg to the run folder and returns the report:
/// {"sets", "paper", "further_fields", "settings", "surrogate_means"}. Every file is read before
/// anything is written. Throws InputError, Error, Interrupted.
Json run_analysis(const AnalyseRunsConfig& config, const ProgramArgs& args);

}  // namespace weft
