#include "trainer/evaluate/task_pages.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/stop.h"
#include "base/utf8.h"

namespace weft {

namespace {

constexpr const char* kHead = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
:root { --bg: #fbfaf8; --card: #ffffff; --ink: #22252a; --soft: #5e646e; --line: #e4e2dd; --code: #f5f4f0; --good: #3b7d54; --bad: #a8514b; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #16181b; --card: #1e2125; --ink: #e4e5e7; --soft: #9ba1aa; --line: #32363c; --code: #191b1f; --good: #7fbf97; --bad: #d98b84; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 22px; font-weight: 600; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 16px; font-weight: 600; margin: 0 0 8px; }
h3 { font-size: 13px; font-weight: 600; margin: 14px 0 0; }
a { color: inherit; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 22px; margin: 18px 0; }
.soft { color: var(--soft); font-size: 13.5px; }
.good { color: var(--good); } .bad { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--soft); padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); }
td { padding: 6px 10px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
pre { margin: 6px 0 0; padding: 10px 12px; background: var(--code); border: 1px solid var(--line); border-radius: 8px; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 12px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; tab-size: 4; }
details { margin-top: 10px; } summary { cursor: pointer; font-size: 13.5px; }
details details { margin-left: 14px; }
@media print { section { border: 0; padding: 0; } a { text-decoration: none; } }
</style>
)";

std::string pre(const std::string& title, const std::string& text) {
  if (text.empty()) return "";
  return fmt::format("<h3>{}</h3><pre>{}</pre>\n", title, html_text(text));
}

std::string text_of(const Json& json, const char* key) {
  const Json value = json.value(key, Json());
  return value.is_string() ? value.get<std::string>() : "";
}

std::string number_of(const Json& json, const char* key, const char* unit, int digits = 0) {
  const Json value = json.value(key, Json());
  return value.is_number() ? fmt::format(", {:.{}f} {}", value.get<double>(), digits, unit) : "";
}

/// One entry of a trace.
std::string call_part(size_t number, const Json& call) {
  const bool asks = text_of(call, "kind") == "call_llm";
  std::string title = fmt::format("{}. {}", number, asks ? "call_llm" : text_of(call, "kind"));
  const std::string role = text_of(call, "role"), verdict = text_of(call, "verdict");
  if (!role.empty()) title += " as " + role;
  if (!verdict.empty()) {
    title += fmt::format(": {}, {} of {} tests", verdict, call.value("passed", 0),
                         call.value("declared", 0));
  }
  title += number_of(call, "prompt_tokens", "prompt tokens") +
           number_of(call, "completion_tokens", "completion tokens") + number_of(call, "ms", "ms");
  if (call.value("lowered", false)) title += ", shortened by the budget";
  if (call.value("cut", false)) title += ", text cut at trace_bytes";
  std::string text = fmt::format("<details><summary>{}</summary>\n", html_text(title));
  text += pre("System", text_of(call, "instructions")) + pre("Prompt", text_of(call, "prompt")) +
          pre("Code", text_of(call, "code")) + pre("Refused", text_of(call, "error"));
  const Json replies = call.value("texts", Json::array());
  for (size_t i = 0; i < replies.size(); ++i) {
    if (!replies[i].is_string()) continue;
    text += pre(replies.size() == 1 ? "Reply" : fmt::format("Reply {}", i + 1),
                replies[i].get<std::string>());
  }
  return text + "</details>\n";
}

const char* tone(const ResultRow& row) {
  if (row.status != OutcomeKind::kScored) return "bad";
  return row.score > 0.5 ? "good" : "bad";
}

/// "scored 1.00", or how the run ended instead.
std::string verdict_words(const ResultRow& row) {
  if (row.status != OutcomeKind::kScored) return outcome_name(row.status);
  std::string words = fmt::format("score {:.2f}", row.score);
  if (row.declared > 0) words += fmt::format(", {} of {} tests", row.passed, row.declared);
  return words;
}

std::string run_title(const ResultRow& row) {
  return row.sample == 0 ? row.method : fmt::format("{}, sample {}", row.method, row.sample + 1);
}

std::string table_row(size_t number, const ResultRow& row) {
  return fmt::format(
      "<tr><td><a href=\"#run{}\">{}</a></td><td "
      "class=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td>"
      "<td>{}</td><td>{:.6f}</td></tr>\n",
      number, html_text(run_title(row)), tone(row), html_text(verdict_words(row)), row.calls,
      row.worker_tokens, row.meta_tokens, row.wall_ms, row.usd);
}

std::string run_section(size_t number, const ResultRow& row, const TraceReader& traces) {
  std::string text =
      fmt::format("<section id=\"run{}\"><h2>{} <span class=\"soft {}\">{}</span></h2>\n", number,
                  html_text(run_title(row)), tone(row), html_text(verdict_words(row)));
  text += pre("Error", row.error) + pre("Answer", row.answer);
  const Json calls = traces.calls(row.method, row.task, row.sample);
  if (!calls.empty()) {
    text += fmt::format("<h3>Calls</h3>\n");
    for (size_t i = 0; i < calls.size(); ++i) text += call_part(i + 1, calls[i]);
  }
  if (!row.workflow.empty()) {
    text += fmt::format("<details><summary>workflow{}</summary>{}{}</details>\n",
                        row.origin.empty() ? "" : " (" + html_text(row.origin) + ")",
                        pre("Reasoning", row.reasoning), pre("Code", row.workflow));
  }
  return text + "</section>\n";
}

}  // namespace

std::string task_page_name(size_t place, const std::string& id) {
  constexpr size_t kMostOfId = 60;
  std::string name = fmt::format("{:05}-", place + 1);
  for (const char c : id.substr(0, kMostOfId)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
    name += plain ? c : '_';
  }
  return name + ".html";
}

std::string html_text(std::string_view text) {
  std::string escaped;
  for (const char c : to_valid_utf8(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      case '\0':
        escaped += kReplacementCharacter;
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string task_page(const Task& task, const std::vector<const ResultRow*>& runs,
                      const TraceReader& traces) {
  std::string text = kHead;
  text += fmt::format("<title>Weft: {0}</title>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n",
                      html_text(task.id));
  text += fmt::format("<p class=\"soft\">{} · {} · <a href=\"../report.html\">report</a></p>\n",
                      html_text(task.dataset), to_string(task.kind));
  text += fmt::format("<section><h2>Prompt</h2><pre>{}</pre></section>\n", html_text(task.prompt));
  text +=
      "<section><h2>Runs</h2><div class=\"scroll\"><table><tr><th>method</th><th>verdict</th>"
      "<th>calls</th><th>worker tokens</th><th>meta-agent "
      "tokens</th><th>ms</th><th>USD</th></tr>\n";
  for (size_t i = 0; i < runs.size(); ++i) text += table_row(i, *runs[i]);
  text += "</table></div></section>\n";
  for (size_t i = 0; i < runs.size(); ++i) text += run_section(i, *runs[i], traces);
  return text + "</main>\n</body>\n</html>\n";
}

void write_task_pages(const std::filesystem::path& dir, const std::vector<Task>& tasks,
                      const std::vector<ResultRow>& rows, const TraceReader& traces) {
  std::map<std::string, std::vector<const ResultRow*>> runs;
  for (const ResultRow& row : rows) runs[row.task].push_back(&row);
  const fs::path made = dir.string() + ".tmp";
  fs::remove_all(made);
  fs::create_directories(made);
  for (size_t place = 0; place < tasks.size(); ++place) {
    throw_if_stopped();
    const Task& task = tasks[place];
    const fs::path file = made / task_page_name(place, task.id);
    std::ofstream out(file, std::ios::binary);
    out << task_page(task, runs[task.id], traces);
    out.close();
    if (!out) {
      const Error error(with_errno("cannot write " + file.string()));
      fs::remove_all(made);
      throw error;
    }
  }
  publish_directory(made, dir);
}

}  // namespace weft
