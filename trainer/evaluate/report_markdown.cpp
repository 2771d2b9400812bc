#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "trainer/evaluate/markdown_numbers.h"
#include "trainer/evaluate/report.h"

namespace weft {

namespace {

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

std::string markdown_methods(const Json& report) {
  std::string text =
      "| method | score | 95 % interval | kind of interval | tasks | pass rate | tokens / query | "
      "calls | valid | distinct / query | distinct in all | workflow errors | infra errors |\n"
      "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";
  for (const Json& m : report["methods"]) {
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        markdown_cell(m["name"]), format_score(m["score"]), format_range(m["ci95"], format_score),
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

/// What a query costs, and how long its workflow runs.
std::string markdown_cost(const Json& report) {
  std::string text =
      "\n## Cost of a query\n\n| method | worker tokens | meta-agent tokens | calls | USD | median "
      "ms | 95th percentile ms |\n|---|---:|---:|---:|---:|---:|---:|\n";
  for (const Json& m : report["methods"]) {
    const Json latency =
        m["latency_ms"].is_object() ? m["latency_ms"] : Json({{"median", {}}, {"p95", {}}});
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", markdown_cell(m["name"]),
                        format_number(m["worker_tokens_mean"], 0),
                        format_number(m["meta_tokens_mean"], 0), format_number(m["calls_mean"], 1),
                        format_number(m["usd_mean"], 6), format_number(latency["median"], 0),
                        format_number(latency["p95"], 0));
  }
  return text;
}

/// Why runs of a method were not scored, failed or have no valid workflow; "" where all went well.
std::string markdown_reasons(const Json& report) {
  std::string text;
  for (const Json& m : report["methods"]) {
    for (const auto& [kind, reasons] : m["errors"].items()) {
      for (const auto& [reason, count] : reasons.items()) {
        text += fmt::format("| {} | {} | {} | {} |\n", markdown_cell(m["name"]), kind,
                            markdown_cell(reason), count.get<int64_t>());
      }
    }
  }
  if (text.empty()) return "";
  return "\n## Failures\n\n| method | kind | reason | runs |\n|---|---|---|---:|\n" + text;
}

/// The effect size of a pair with its name.
std::string effect_words(const Json& effect) {
  if (effect.contains("cohens_dz")) {
    return effect["cohens_dz"].is_number() ? "d_z " + format_signed(effect["cohens_dz"]) : "-";
  }
  if (!effect["cohens_g"].is_number()) return "-";
  return fmt::format("g {}, odds {}", format_signed(effect["cohens_g"]),
                     format_number(effect["odds_ratio"], 2));
}

std::string markdown_pairs(const Json& report) {
  if (report["pairs"].empty()) return "";
  std::string text =
      "\n## Paired differences\n\n| a | b | a - b | 95 % interval | kind of interval | tasks | a "
      "is | only a : only b | McNemar p | effect "
      "|\n|---|---|---:|---:|---|---:|---|---:|---:|---|\n";
  std::string power;
  for (const Json& p : report["pairs"]) {
    const Json test = p.value("mcnemar", Json());
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", markdown_cell(p["a"]),
        markdown_cell(p["b"]), format_signed(p["diff"]), format_range(p["ci95"], format_signed),
        p["ci_method"].get<std::string>(), p["n"].get<int64_t>(), p["reading"].get<std::string>(),
        test.is_null()
            ? "-"
            : fmt::format("{} : {}", test["only_a"].get<int64_t>(), test["only_b"].get<int64_t>()),
        test.is_null() ? "-" : fmt::format("{:.3g}", test["p"].get<double>()),
        effect_words(p["effect"]));
    power += fmt::format("- {} against {}: {}.\n", markdown_cell(p["a"]), markdown_cell(p["b"]),
                         p["power"].get<std::string>());
  }
  return text + "\nWhat these pairs could show, with 80 % power at a two-sided level of 5 %:\n\n" +
         power;
}

/// "" where the tasks are all of one category.
std::string markdown_categories(const Json& report) {
  if (report["categories"].empty()) return "";
  std::string text = "\n## Scores by category\n\n| by | category | tasks |",
              rule = "|---|---|---:|";
  for (const Json& m : report["methods"]) {
    text += fmt::format(" {} |", markdown_cell(m["name"]));
    rule += "---:|";
  }
  text += "\n" + rule + "\n";
  for (const Json& category : report["categories"]) {
    text += fmt::format("| {} | {} | {} |", category["by"].get<std::string>(),
                        markdown_cell(category["name"]), category["tasks"].get<size_t>());
    for (const auto& [name, score] : category["methods"].items()) {
      text += fmt::format(" {} |", format_score(score["score"]));
    }
    text += "\n";
  }
  return text;
}

/// The methods that no other beats in both score and cost.
std::string markdown_front(const Json& report) {
  const auto names = report["front"]["methods"].get<std::vector<std::string>>();
  if (names.empty()) return "";
  const char* cost = report["front"]["cost"] == "usd_mean" ? "USD" : "tokens";
  return fmt::format("\nPareto front of score against {}, the cheapest first: {}.\n", cost,
                     fmt::join(names, ", "));
}

/// Tasks that stand in training texts, and the scores without them; "" where none was sought.
std::string markdown_contamination(const Json& report) {
  constexpr size_t kMostTasks = 20;
  if (!report.contains("contamination")) return "";
  const Json& found = report["contamination"];
  std::string text = fmt::format("\n## Contamination\n\n{} found in the training texts.\n",
                                 counted(Json(found.size()), "task"));
  if (found.empty()) return text;
  text +=
      "\n| method | score | score without them | 95 % interval | tasks |\n|---|---:|---:|---:|---:|"
      "\n";
  for (const Json& m : report["methods"]) {
    const Json& clean = m["uncontaminated"];
    text += fmt::format("| {} | {} | {} | {} | {} |\n", markdown_cell(m["name"]),
                        format_score(m["score"]), format_score(clean["score"]),
                        format_range(clean["ci95"], format_score), clean["n"].get<int64_t>());
  }
  text += "\n| task | n-grams | share of its n-grams | most of them in |\n|---|---:|---:|---|\n";
  for (size_t i = 0; i < std::min(found.size(), kMostTasks); ++i) {
    const Json& task = found[i];
    text += fmt::format("| {} | {} | {} | {}:{} |\n", markdown_cell(task["task"]),
                        task["ngrams"].get<int64_t>(), format_number(task["share"], 2),
                        markdown_cell(task["source"]), task["line"].get<int64_t>());
  }
  if (found.size() > kMostTasks) {
    text += fmt::format("\n{} more are in report.json.\n", found.size() - kMostTasks);
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
    rows += fmt::format("| {} |", markdown_cell(m["name"]));
    for (const char* k : {"1", "10", "100"}) {
      const Json estimate = estimates.value(k, Json());
      rows += estimate.is_null() ? " - |"
                                 : fmt::format(" {} ({}) |", format_score(estimate["score"]),
                                               format_range(estimate["ci95"], format_score));
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

}  // namespace

std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c == '\n' || c == '\r' ? ' ' : c;
  }
  return cell;
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
  text += markdown_methods(report) + markdown_cost(report) + markdown_front(report) +
          markdown_pass_at_k(report) + markdown_headlines(report) + markdown_reasons(report) +
          markdown_pairs(report) + markdown_categories(report) + markdown_contamination(report);
  if (!report["examples"].empty()) {
    text += fmt::format("\n## Workflows\n\n{}\n", report["examples_note"].get<std::string>());
    text += markdown_examples(report);
  }
  text += "\n## Limits\n\n";
  for (const Json& note : report["notes"]) text += "- " + note.get<std::string>() + "\n";
  return text + "\n## Settings\n\n```json\n" + dump_json_pretty(report["settings"]) + "```\n";
}

}  // namespace weft
