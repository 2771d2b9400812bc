#include "trainer/evaluate/workflow_runs/analyse_program.h"

#include <filesystem>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/known_fields.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/run_dir.h"
#include "trainer/evaluate/workflow_runs/coverage_plot.h"
#include "trainer/evaluate/workflow_runs/runs_markdown.h"

namespace weft {

std::vector<std::string> AnalyseRunsConfig::files() const {
  std::vector<std::string> files;
  for (const std::string& item : in) {
    std::error_code ignored;
    if (fs::exists(item, ignored)) {
      files.push_back(item);
      continue;
    }
    std::stringstream stream(item);
    for (std::string part; std::getline(stream, part, ',');) files.push_back(part);
  }
  return files;
}

void AnalyseRunsConfig::validate() const {
  if (in.empty()) throw InputError("in: expected a file or several, got nothing");
  std::set<std::string> seen;
  for (const std::string& file : files()) {
    if (file.empty()) throw InputError("in: expected names of files, got an empty one");
    if (!seen.insert(fs::path(file).lexically_normal().string()).second) {
      throw InputError("in: expected each file once, got " + file + " again");
    }
  }
  if (out.empty()) throw InputError("out: expected a folder, got nothing; give --out DIR");
  require_threads("threads", threads);
}

void AnalyseRunsConfig::check_start(StartCheck& check) const {
  for (const std::string& file : files()) {
    check.file("in", file);
    check.without_error([&] {
      FieldCounts further;
      if (fs::is_regular_file(file)) read_workflow_runs(file, further);
    });
  }
  check.run_folder("out", out);
}

Json run_analysis(const AnalyseRunsConfig& config, const ProgramArgs& args) {
  FieldCounts further;
  std::vector<WorkflowRuns> sets;
  for (const std::string& file : config.files()) sets.push_back(read_workflow_runs(file, further));
  const RunDir run(config.out, /*resume=*/false, args.config);
  if (!further.empty()) log::info("fields that are not read: {}", list_fields(further));
  Json report = {{"sets", Json::array()},
                 {"paper", paper_figures()},
                 {"further_fields", further},
                 {"settings", args.config}};
  for (const WorkflowRuns& set : sets) {
    log::info("{}: {} workflows, {} queries, {} runs of each", set.dataset,
              set.scores.num_workflows(), set.scores.num_queries(), set.scores.num_runs());
    report["sets"].push_back(analyse_set(set, config.analysis));
  }
  report["surrogate_means"] = surrogate_means(report["sets"]);
  write_file_atomically(run.file("coverage.svg"), coverage_plot(report["sets"]));
  write_file_atomically(run.file("report.md"), runs_markdown(report));
  write_file_atomically(run.file("report.json"), dump_json_pretty(report));
  return report;
}

}  // namespace weft
