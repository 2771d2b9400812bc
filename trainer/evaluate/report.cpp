#include "trainer/evaluate/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/jsonl.h"
#include "base/rng.h"
#include "trainer/evaluate/headlines.h"
#include "trainer/evaluate/scoring.h"
#include "trainer/evaluate/summary.h"
#include "trainer/evaluate/task_pages.h"

namespace weft {

namespace {

/// "NAME=FILE", or FILE, then named after its folder.
std::pair<std::string, fs::path> split_curve(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals != std::string::npos && text.find('/') > equals) {
    return {text.substr(0, equals), text.substr(equals + 1)};
  }
  const fs::path path = fs::path(text).lexically_normal();
  const std::string folder = path.parent_path().filename().string();
  return {folder.empty() ? path.stem().string() : folder, path};
}

Json read_curve(const std::string& text) {
  const auto [name, path] = split_curve(text);
  JsonlReader reader(path);
  Json points = Json::array();
  JsonlLine line;
  while (reader.next(line)) {
    if (!line.error.empty()) throw InputError(line.error);
    Json point = {{"step", get_field<int64_t>(line.value, "step", reader.where(line))}};
    for (const char* key : {"loss", "reward_mean", "reward_pass", "kl", "entropy"}) {
      if (line.value.contains(key)) point[key] = line.value[key];
    }
    points.push_back(std::move(point));
  }
  return {{"name", name}, {"points", std::move(points)}};
}

const ResultRow* find_row(const std::vector<ResultRow>& rows, const std::string& method,
                          const std::string& task) {
  for (const ResultRow& row : rows) {
    const bool missing = row.status == OutcomeKind::kInfrastructure;
    if (!missing && row.method == method && row.task == task && row.sample == 0) return &row;
  }
  return nullptr;
}

Json example_side(const ResultRow& row) {
  return {{"method", row.method},       {"workflow", row.workflow},
          {"reasoning", row.reasoning}, {"valid", row.status != OutcomeKind::kInvalid},
          {"score", row.score},         {"error", row.error}};
}

/// The first sample of tasks drawn by seed: chosen before anyone looks at a score.
Json pick_examples(const std::vector<Task>& tasks, const std::vector<ResultRow>& rows,
                   const ReportOptions& options) {
  Json examples = Json::array();
  std::vector<size_t> order(tasks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Rng(options.seed, /*stream=*/0x65786d70).shuffle(order);
  for (const size_t i : order) {
    if (static_cast<int>(examples.size()) == options.num_examples) break;
    const ResultRow* before = find_row(rows, options.example_before, tasks[i].id);
    const ResultRow* after = find_row(rows, options.example_after, tasks[i].id);
    if (!before || !after) continue;
    examples.push_back({{"task", tasks[i].id},
                        {"prompt", tasks[i].prompt},
                        {"before", example_side(*before)},
                        {"after", example_side(*after)}});
  }
  return examples;
}

void check_example_method(const std::vector<Method>& methods, const std::string& name) {
  for (const Method& method : methods) {
    if (method.name == name) return;
  }
  throw InputError(fmt::format("examples: expected a method of this run, got \"{}\"", name));
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::string contamination_note(size_t num_tasks, const ReportOptions& options) {
  return fmt::format(
      "Contamination: {} of {} tasks share {} successive words of their prompt, or a shorter "
      "prompt "
      "as a whole, with {}. Words that several of these prompts share are not counted.",
      options.contaminated.size(), num_tasks, kContaminationWords,
      fmt::join(options.contamination_sources, ", "));
}

Json notes(const Json& methods, size_t num_tasks, const ReportOptions& options) {
  Json list = Json::array();
  list.push_back(fmt::format(
      "The unit of every interval is the task. One 0/1 score a task: Wilson's score interval "
      "(wilson), Newcombe's for paired differences (newcombe). Other scores: BCa bootstrap over "
      "tasks (bca), {} resamples, seed {}; where that is undefined, an exact bound if all are "
      "equal "
      "(equal_bound), else the score interval with the largest variance that the scores can have "
      "(score_bound). They hold for queries like these, with this worker and these weights.",
      options.bootstrap.resamples, options.bootstrap.seed));
  list.push_back(
      "An interval of a difference that holds 0 is inconclusive: it does not show that two methods "
      "are equal. Pairs are not corrected for their number: of twenty intervals one is expected to "
      "miss 0 by chance. The same holds for the p of McNemar's exact test, which takes 0/1 scores. "
      "Effect sizes: Cohen's g (share of the tasks solved by one alone that a solved, less 1/2) "
      "and "
      "their odds, else Cohen's d_z (mean over standard deviation of the differences).");
  list.push_back(
      "Headlines compare the last meta-agent of the list with the method of each class that scored "
      "highest on these same tasks. Choosing it after the fact favours it, so headlines err "
      "against "
      "the meta-agent.");
  int64_t infra = 0;
  bool shuffled = false;
  std::vector<std::string> substitutes;
  for (const Json& method : methods) {
    infra += method["infra_errors"].get<int64_t>();
    shuffled = shuffled || method["kind"] == "shuffled";
    if (method["kind"] == "samples") {
      list.push_back(fmt::format("{} holds {} samples for {} of {} tasks; only these are scored.",
                                 method["name"].get<std::string>(),
                                 method["samples"].get<int64_t>(), method["n"].get<int64_t>(),
                                 num_tasks));
    }
    if (!method.contains("ci_note")) continue;
    substitutes.push_back(fmt::format("{} ({})", method["name"].get<std::string>(),
                                      method["ci_note"].get<std::string>()));
  }
  if (!substitutes.empty()) {
    list.push_back(
        fmt::format("Intervals not of the usual kind: {}.", fmt::join(substitutes, "; ")));
  }
  list.push_back(
      infra == 0
          ? "No infrastructure errors."
          : fmt::format("{} runs are missing because of infrastructure errors or a spent budget; "
                        "they are not counted as zeros.",
                        infra));
  list.push_back(
      "Pass rate: share of hidden tests passed, or the scorer's value. Workflow errors and invalid "
      "workflows count as score 0. Tokens are those of the worker and "
      "of the meta-agent, prompts included. Times are of a workflow that ran, its calls included "
      "and "
      "the meta-agent's writing not.");
  if (!options.contamination_sources.empty()) {
    list.push_back(contamination_note(num_tasks, options));
  }
  if (shuffled) {
    list.push_back(
        "A shuffled method answers every query with the workflow written for another one: what it "
        "lacks against its source is what writing for the query gives.");
  }
  return list;
}

/// What a task is, and where its page is.
Json task_facts(const std::vector<Task>& tasks, const ReportOptions& options) {
  Json facts = Json::object();
  for (size_t place = 0; place < tasks.size(); ++place) {
    const Task& task = tasks[place];
    Json& of_task = facts[task.id] = {{"dataset", task.dataset}, {"kind", to_string(task.kind)}};
    const auto family = options.families.find(task.id);
    if (family != options.families.end()) of_task["family"] = family->second;
    if (!options.page_folder.empty()) {
      of_task["page"] = options.page_folder + "/" + task_page_name(place, task.id);
    }
  }
  return facts;
}

void replace_mark(std::string& text, std::string_view mark, std::string_view by) {
  const size_t at = text.find(mark);
  WEFT_ASSERT(at != std::string::npos);
  text.replace(at, mark.size(), by);
}

/// JSON that may stand inside a script element: no "</" and no "<!--".
std::string json_for_script(const Json& json) {
  std::string text;
  for (const char c : dump_json(json)) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

Json make_report(const std::vector<Method>& methods, const std::vector<Task>& tasks,
                 const std::vector<ResultRow>& rows, const ReportOptions& options) {
  std::vector<std::string> ids;
  for (const Task& task : tasks) ids.push_back(task.id);
  const ScoreTable scores = score_table(methods, ids, rows);
  Json report;
  report["methods"] = summarise_methods(methods, scores, rows, options.bootstrap);
  if (is_all_or_nothing(options.scoring)) {
    add_pass_at_k(report["methods"], rows, options.bootstrap);
  }
  if (!options.contamination_sources.empty()) {
    const Json& found = report["contamination"] = to_json(options.contaminated);
    add_uncontaminated_scores(report["methods"], scores, ids, found, options.bootstrap);
  }
  report["headlines"] = summarise_headlines(methods, scores, report["methods"], options.bootstrap);
  report["pairs"] = summarise_pairs(methods, scores, options.bootstrap);
  Json& per_task = report["tasks"] = Json::object();
  for (size_t task = 0; task < ids.size(); ++task) {
    for (size_t method = 0; method < methods.size(); ++method) {
      const double score = scores[method][task];
      per_task[ids[task]][methods[method].name] = score == score ? Json(score) : Json();
    }
  }
  report["categories"] =
      summarise_categories(tasks, options.families, methods, scores, options.bootstrap);
  report["front"] = cost_front(report["methods"]);
  report["task_facts"] = task_facts(tasks, options);
  report["summary"] = {
      {"title", options.title},
      {"tasks", tasks.size()},
      {"worker", options.worker},
      {"teachers", options.teachers},
      {"date", today()},
      {"score_meaning", describe_scoring(options.scoring) +
                            " Averaged over a task's samples, then over tasks. Whiskers: 95 % "
                            "intervals over tasks."}};
  const bool runs_workflows = std::any_of(methods.begin(), methods.end(), [](const Method& method) {
    return method.kind != MethodKind::kSamples;
  });
  if (runs_workflows) report["summary"]["samples_per_task"] = options.samples_per_task;
  report["scoring"] = options.scoring;
  report["curves"] = Json::array();
  for (const std::string& curve : options.curves) report["curves"].push_back(read_curve(curve));
  report["examples"] = Json::array();
  if (!options.example_before.empty() || !options.example_after.empty()) {
    check_example_method(methods, options.example_before);
    check_example_method(methods, options.example_after);
    report["examples"] = pick_examples(tasks, rows, options);
    report["examples_note"] =
        "The first sample of tasks drawn by the run's seed, not chosen by their scores.";
  }
  report["notes"] = notes(report["methods"], tasks.size(), options);
  report["settings"] = options.settings;
  return report;
}

std::string html_report(const Json& report) {
  std::string page(report_page());
  replace_mark(page, "%CHART_JS%", chart_script());
  replace_mark(page, "%REPORT_JS%", report_script());
  replace_mark(page, "%REPORT_JSON%", json_for_script(report));
  return page;
}

}  // namespace weft
