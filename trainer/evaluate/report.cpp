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
    const bool missing = row.status == RowStatus::kInfrastructure;
    if (!missing && row.method == method && row.task == task && row.sample == 0) return &row;
  }
  return nullptr;
}

Json example_side(const ResultRow& row) {
  return {{"method", row.method},       {"workflow", row.workflow},
          {"reasoning", row.reasoning}, {"valid", row.status != RowStatus::kInvalid},
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
      "miss 0 by chance.");
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
  list.push_back(infra == 0 ? "No infrastructure errors."
                            : fmt::format("{} runs are missing because of infrastructure errors; "
                                          "they are not counted as zeros.",
                                          infra));
  list.push_back(
      "Pass rate: share of hidden tests passed, or the scorer's value. Workflow errors and invalid "
      "workflows count as score 0. Tokens are those of the worker and "
      "of the meta-agent, prompts included.");
  if (shuffled) {
    list.push_back(
        "A shuffled method answers every query with the workflow written for another one: what it "
        "lacks against its source is what writing for the query gives.");
  }
  return list;
}

std::string format_number(const Json& value, int digits) {
  return value.is_number() ? fmt::format("{:.{}f}", value.get<double>(), digits) : "-";
}

std::string format_signed(const Json& value) {
  return value.is_number() ? fmt::format("{:+.3f}", value.get<double>()) : "-";
}

/// " The meta-agents learnt from workflows of ...", or "".
std::string taught_by(const Json& teachers) {
  const auto names = teachers.get<std::vector<std::string>>();
  if (names.empty()) return "";
  return fmt::format(" The meta-agents learnt from workflows by: {}.", fmt::join(names, "; "));
}

std::string counted(const Json& count, const char* noun) {
  const auto n = count.get<int64_t>();
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

std::string range(const Json& ci, std::string (*format)(const Json&)) {
  return ci[0].is_number() ? format(ci[0]) + " to " + format(ci[1]) : "-";
}

std::string format_score(const Json& value) { return format_number(value, 3); }

std::string markdown_methods(const Json& report) {
  std::string text =
      "| method | score | 95 % interval | kind of interval | tasks | pass rate | tokens / query | "
      "calls | valid | distinct / query | distinct in all | workflow errors | infra errors |\n"
      "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";
  for (const Json& m : report["methods"]) {
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        m["name"].get<std::string>(), format_score(m["score"]), range(m["ci95"], format_score),
        m["ci_method"].get<std::string>(), m["n"].get<int64_t>(), format_score(m["pass_rate"]),
        format_number(m["tokens_mean"], 0), format_number(m["calls_mean"], 1),
        format_number(m["valid"], 2), format_number(m.value("distinct_per_query", Json()), 2),
        format_number(m.value("distinct_overall", Json()), 0), m["workflow_errors"].get<int64_t>(),
        m["infra_errors"].get<int64_t>());
  }
  return text;
}

std::string markdown_headlines(const Json& report) {
  std::string text;
  for (const Json& h : report["headlines"]) {
    text += "- " + h["words"].get<std::string>() + "\n";
  }
  return text.empty() ? "" : "\n## Headlines\n\n" + text;
}

/// Why runs of a method were not scored, failed or have no valid workflow; "" where all went well.
std::string markdown_reasons(const Json& report) {
  std::string text;
  for (const Json& m : report["methods"]) {
    const Json reasons = m.value("reasons", Json::object());
    for (const auto& [reason, count] : reasons.items()) {
      text += fmt::format("| {} | {} | {} |\n", m["name"].get<std::string>(), reason,
                          count.get<int64_t>());
    }
  }
  if (text.empty()) return "";
  return "\n## Failures\n\n| method | reason | runs |\n|---|---|---:|\n" + text;
}

std::string markdown_pairs(const Json& report) {
  if (report["pairs"].empty()) return "";
  std::string text =
      "\n## Paired differences\n\n| a | b | a - b | 95 % interval | kind of interval | tasks | a "
      "is "
      "|\n|---|---|---:|---:|---|---:|---|\n";
  for (const Json& p : report["pairs"]) {
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", p["a"].get<std::string>(),
                        p["b"].get<std::string>(), format_signed(p["diff"]),
                        range(p["ci95"], format_signed), p["ci_method"].get<std::string>(),
                        p["n"].get<int64_t>(), p["reading"].get<std::string>());
  }
  return text;
}

/// pass@k of the methods, empty where none has more than pass@1.
std::string markdown_pass_at_k(const Json& report) {
  std::string rows;
  bool more_than_one = false;
  for (const Json& m : report["methods"]) {
    const Json estimates = m.value("pass_at_k", Json::object());
    more_than_one = more_than_one || estimates.size() > 1 || m["kind"] == "samples";
    rows += fmt::format("| {} |", m["name"].get<std::string>());
    for (const char* k : {"1", "10", "100"}) {
      const Json estimate = estimates.value(k, Json());
      rows += estimate.is_null() ? " - |"
                                 : fmt::format(" {} ({}) |", format_score(estimate["score"]),
                                               range(estimate["ci95"], format_score));
    }
    rows += "\n";
  }
  if (!more_than_one) return "";
  return "\n## pass@k\n\nThe unbiased estimate (arXiv:2107.03374, eq. 1) with its 95 % interval "
         "over tasks, where every task has k samples.\n\n| method | pass@1 | pass@10 | pass@100 |\n"
         "|---|---:|---:|---:|\n" +
         rows;
}

/// A workflow, or why there is none.
std::string markdown_side(const Json& row) {
  const auto error = row["error"].get<std::string>(), code = row["workflow"].get<std::string>();
  std::string text = fmt::format(
      "\n{} ({}):", row["method"].get<std::string>(),
      row["valid"] == true ? "score " + format_number(row["score"], 2) : "not valid, score 0");
  if (!error.empty()) text += " " + error;
  return text + (code.empty() ? "\n" : fmt::format("\n\n```python\n{}\n```\n", code));
}

std::string markdown_examples(const Json& report) {
  std::string text;
  for (const Json& example : report["examples"]) {
    text += fmt::format("\n### {}\n", example["task"].get<std::string>());
    for (const char* side : {"before", "after"}) {
      const Json& row = example[side];
      text += markdown_side(row);
    }
  }
  return text;
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
  report["headlines"] = summarise_headlines(methods, scores, report["methods"], options.bootstrap);
  report["pairs"] = summarise_pairs(methods, scores, options.bootstrap);
  Json& per_task = report["tasks"] = Json::object();
  for (size_t task = 0; task < ids.size(); ++task) {
    for (size_t method = 0; method < methods.size(); ++method) {
      const double score = scores[method][task];
      per_task[ids[task]][methods[method].name] = score == score ? Json(score) : Json();
    }
  }
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

std::string markdown_report(const Json& report) {
  const Json& summary = report["summary"];
  std::string size = counted(summary["tasks"], "task");
  if (summary.contains("samples_per_task")) {
    size += ", " + counted(summary["samples_per_task"], "sample") + " per task and method";
  }
  std::string text =
      fmt::format("# {}\n\n{}, {}.\n\nWorker: {}.{}\n\n{}\n\n", summary["title"].get<std::string>(),
                  size, summary["date"].get<std::string>(), summary["worker"].get<std::string>(),
                  taught_by(summary["teachers"]), summary["score_meaning"].get<std::string>());
  text += markdown_methods(report) + markdown_pass_at_k(report) + markdown_headlines(report) +
          markdown_reasons(report) + markdown_pairs(report);
  if (!report["examples"].empty()) {
    text += fmt::format("\n## Workflows\n\n{}\n", report["examples_note"].get<std::string>());
    text += markdown_examples(report);
  }
  text += "\n## Limits\n\n";
  for (const Json& note : report["notes"]) text += "- " + note.get<std::string>() + "\n";
  return text + "\n## Settings\n\n```json\n" + dump_json_pretty(report["settings"]) + "```\n";
}

std::string html_report(const Json& report) {
  std::string page(report_page());
  replace_mark(page, "%CHART_JS%", chart_script());
  replace_mark(page, "%REPORT_JSON%", json_for_script(report));
  return page;
}

}  // namespace weft
