/// From rows to report.json (docs/formats.md), report.md, report.tex and report.html.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "data/task.h"
#include "trainer/evaluate/breakdown.h"
#include "trainer/evaluate/contamination.h"
#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/results.h"
#include "trainer/evaluate/statistics.h"

namespace weft {

/// Everything a report shows beside the rows.
struct ReportOptions {
  std::string title = "Evaluation";
  std::string worker;                 ///< what the worker model is (data/provenance.h)
  std::vector<std::string> teachers;  ///< who wrote what its meta-agents learnt from, in words
  BootstrapOptions bootstrap;
  std::vector<std::string> curves;  ///< metrics.jsonl of training runs, NAME= before it
  std::string example_before;       ///< meta methods whose workflows are shown side by side;
  std::string example_after;        ///< both empty: no examples
  int num_examples = 3;
  int samples_per_task = 1;
  uint64_t seed = 0;                               ///< picks the examples
  Json scoring = Json::array();                    ///< as summarise_scoring
  Json settings;                                   ///< resolved config
  std::vector<std::string> contamination_sources;  ///< what was searched; empty: nothing was
  std::vector<ContaminatedTask> contaminated;      ///< what was found there
  TaskFamilies families;                           ///< of the tasks
  std::string page_folder;  ///< of write_task_pages, beside the report; empty: none
};

/// {"methods": [...], "headlines": [...], "pairs": [...], "tasks": {...}} as in docs/formats.md,
/// and beside that summary, scoring, categories, front, task_facts, contamination, curves,
/// examples, notes, settings. A method's score is the mean over tasks of the mean over samples; a
/// task whose samples are all infrastructure errors is left out, never counted as 0. ci95: see
/// statistics.h; headlines: see headlines.h. pairs: diff = score(a) - score(b) over the tasks that
/// both have. distinct_per_query: mean number of different valid ASTs among the samples of a query;
/// distinct_overall: different valid ASTs in all (meta and hybrid methods).
/// Throws InputError when a curve's file or an example's method is missing.
Json make_report(const std::vector<Method>& methods, const std::vector<Task>& tasks,
                 const std::vector<ResultRow>& rows, const ReportOptions& options);

/// The tables of a report as Markdown.
std::string markdown_report(const Json& report);

/// Text that stays in its cell of a Markdown table.
std::string markdown_cell(const std::string& text);

/// The methods and pairs as two tables in booktabs' form.
std::string latex_report(const Json& report);

/// Text that LaTeX sets as it is; control characters become spaces.
std::string latex_text(const std::string& text);

/// One self-contained page: charts by Chart.js 3.9 inside it, no request to anywhere.
std::string html_report(const Json& report);

/// report.html with its marks, report.js and Chart.js; compiled in.
std::string_view report_page();
std::string_view report_script();
std::string_view chart_script();

}  // namespace weft
