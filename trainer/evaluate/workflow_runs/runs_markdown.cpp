#include "trainer/evaluate/workflow_runs/runs_markdown.h"

#include <fmt/format.h>

#include <algorithm>

#include "trainer/evaluate/markdown_numbers.h"
#include "trainer/evaluate/report.h"

namespace weft {

namespace {

/// A field that a null object lacks.
Json field(const Json& object, const std::string& key) {
  return object.is_object() ? object.value(key, Json()) : Json();
}

/// "0.906 (0.850 to 0.962)" of KEY and KEY_ci95.
std::string with_interval(const Json& object, const std::string& key,
                          std::string (*format)(const Json&) = format_score) {
  const Json value = field(object, key), ci = field(object, key + "_ci95");
  if (!value.is_number()) return "-";
  return ci.is_array() ? fmt::format("{} ({})", format(value), format_range(ci, format))
                       : format(value);
}

std::string name_of(const Json& set) { return markdown_cell(set["dataset"].get<std::string>()); }

std::string sets_table(const Json& sets) {
  std::string text =
      "| set | workflows | queries | runs of each | left out | source "
      "|\n|---|---:|---:|---:|---|---|"
      "\n";
  for (const Json& set : sets) {
    const Json& left_out = set["left_out"];
    const auto workflows = left_out["workflows"].get<std::vector<std::string>>();
    std::string words =
        workflows.empty() ? "" : fmt::format("workflows {}", fmt::join(workflows, ", "));
    if (const auto runs = left_out["runs"].get<int64_t>(); runs > 0) {
      words += fmt::format("{}{} runs", words.empty() ? "" : "; ", runs);
    }
    text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", name_of(set),
                        set["workflows"].get<size_t>(), set["queries"].get<size_t>(),
                        set["runs"].get<size_t>(), words.empty() ? "-" : markdown_cell(words),
                        markdown_cell(set["source"].get<std::string>()));
  }
  return text;
}

std::string headroom_section(const Json& sets) {
  std::string text =
      "\n## Headroom of choosing by query\n\nSome runs choose, the others score; averaged over all "
      "splits. The query was seen in the choosing runs, so this bounds from above any router over "
      "these workflows that reads the query's text alone. \"Naive\" is the maximum over means of "
      "all runs, which is biased upwards.\n\n| set | best fixed | best by query | gap | gap is | "
      "naive by query | best fixed workflow |\n|---|---:|---:|---:|---|---:|---|\n";
  for (const Json& set : sets) {
    const Json reading = field(set, "gap_reading");
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} |\n", name_of(set), with_interval(set, "best_fixed"),
        with_interval(set, "by_query"), with_interval(set, "gap", format_signed),
        reading.is_string() ? reading.get<std::string>() : "-", format_score(set["naive_by_query"]),
        markdown_cell(set["best_fixed_workflow"].get<std::string>()));
  }
  text +=
      "\nVariance of workflow by query, which a choice could use, and of a run, which none can:\n\n"
      "| set | interaction | noise | interaction / noise |\n|---|---:|---:|---:|\n";
  for (const Json& set : sets) {
    text += fmt::format("| {} | {} | {} | {} |\n", name_of(set), with_interval(set, "interaction"),
                        with_interval(set, "noise"),
                        format_number(field(set, "interaction_over_noise"), 2));
  }
  return text;
}

std::string coverage_rows(const Json& sets, const char* inside) {
  std::string text;
  for (const Json& set : sets) {
    const Json& all = set["coverage"];
    const Json& c = *inside ? all[inside] : all;
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} |\n", name_of(set), with_interval(c, "top1"),
        fmt::format("{} x 1: {}", c["top5_workflows"].get<size_t>(), with_interval(c, "top5")),
        c["top1_repeated"].is_null() ? "-"
                                     : fmt::format("1 x {}: {}", c["top1_repeats"].get<size_t>(),
                                                   with_interval(c, "top1_repeated")),
        with_interval(c, "top5_minus_repeated", format_signed),
        c.contains("top5_minus_repeated_reading")
            ? c["top5_minus_repeated_reading"].get<std::string>()
            : "-",
        format_score(c["all_once"]));
  }
  return text;
}

std::string coverage_section(const Json& report) {
  const char* head =
      "| set | top 1, once | top workflows, once each | top 1 repeated | difference at equal "
      "executions | several are | all, once each |\n|---|---:|---:|---:|---:|---|---:|\n";
  const Json& paper = report["paper"]["coverage_top5"];
  return fmt::format(
             "\n## Coverage\n\nExpected best score of a query over the executions. The paper (its "
             "own six sets): the top 5 cover {:.2f} to {:.0f} %, and repeating the top 1 five "
             "times "
             "is as good as workflows written for each query.\n\nRanked by all runs and queries, "
             "as a search does; the ranking has seen what is scored:\n\n",
             100 * paper[0].get<double>(), 100 * paper[1].get<double>()) +
         head + coverage_rows(report["sets"], "") +
         "\nRanked, for each query, by the other queries. Where workflows are nearly equal, a "
         "query's own "
         "score then decides against its best one, which errs downwards:\n\n" +
         head + coverage_rows(report["sets"], "ranked_on_other_queries") +
         "\n![coverage against executions](coverage.svg)\n";
}

std::string with_spread(const Json& object, const std::string& key) {
  const Json value = field(object, key);
  if (!value.is_number()) return "-";
  return fmt::format("{} +- {}", format_score(value), format_score(field(object, key + "_sd")));
}

std::string surrogate_row(const std::string& name, const Json& s, size_t queries) {
  return fmt::format("| {} | {} | {} of {} | {} | {} | {} | {} | {} | {} |\n", name,
                     format_number(s["fraction"], 2), s["executed_queries"].get<size_t>(), queries,
                     format_number(s["executions_saved"], 3),
                     format_number(s["executions_saved_with_warm_up"], 3),
                     with_spread(s, "pearson"), s["pearson_draws"].get<int64_t>(),
                     with_spread(s, "mae"), with_spread(s, "mae_uncalibrated"));
}

std::string surrogate_section(const Json& report) {
  const Json& paper = report["paper"];
  std::string text = fmt::format(
      "\n## Surrogate of a full evaluation\n\nFew executions, drawn by difficulty and calibrated "
      "on "
      "the warm-up workflows, against the mean over the runs not drawn; mean and standard "
      "deviation "
      "over draws of queries and runs. Self-prediction is missing: it needs an optimizer model. "
      "The paper, with self-prediction: Pearson {:.2f}, MAE {:.2f}; its few executions alone: MAE "
      "{:.2f}; {:.0f} to {:.0f} % of the queries executed.\n\n"
      "| set | fraction | executed | executions saved | saved with warm-up | Pearson | draws with "
      "a Pearson | MAE | MAE, not calibrated |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
      paper["pearson"].get<double>(), paper["mae"].get<double>(),
      paper["mae_few_shot"].get<double>(), 100 * paper["fraction"][0].get<double>(),
      100 * paper["fraction"][1].get<double>());
  for (const Json& set : report["sets"]) {
    const Json& surrogate = set["surrogate"];
    const auto queries = set["queries"].get<size_t>();
    if (surrogate.is_null()) {
      text += fmt::format("| {} | - | - | - | - | - | - | - | - |\n", name_of(set));
      continue;
    }
    text += surrogate_row("**" + name_of(set) + "**", surrogate, queries);
    for (const Json& at : surrogate["by_fraction"]) {
      if (at["executed_queries"] == surrogate["executed_queries"]) continue;
      text += surrogate_row(name_of(set), at, queries);
    }
  }
  const Json& means = report["surrogate_means"];
  return text + fmt::format("\nMean over the {} sets, at the rows in bold: Pearson {}, MAE {}.\n",
                            means["sets"].get<int64_t>(), format_score(means["pearson"]),
                            format_score(means["mae"]));
}

std::string router_section(const Json& sets) {
  std::string text =
      "\n## Router by the query's text\n\nRidge regression on the words, for queries that it has "
      "not seen; it takes only workflows that cost no more than the best fixed one, and that one "
      "where it cannot know. Gain is over the best fixed workflow, regret to the best by query of "
      "the headroom: same runs, same queries. Cost is a proxy: dollars of a workflow's runs over "
      "their queries. The last column is the best fixed workflow chosen without the query itself."
      "\n\n| set | router | gain | gain is | regret | headroom | cost ratio | abstained | best "
      "fixed, "
      "other queries |\n|---|---:|---:|---|---:|---:|---:|---:|---:|\n";
  for (const Json& set : sets) {
    const Json& r = set["router"];
    if (r.is_null()) {
      text += fmt::format("| {} | - | - | - | - | - | - | - | - |\n", name_of(set));
      continue;
    }
    text +=
        fmt::format("| {} | {} ({}) | {} | {} | {} | {} | {} | {} | {} |\n", name_of(set),
                    format_score(r["score"]), format_range(r["ci95"], format_score),
                    with_interval(r, "gain", format_signed), r["gain_reading"].get<std::string>(),
                    with_interval(r, "regret", format_signed), format_signed(set["gap"]),
                    format_number(r["cost_ratio"], 3), format_number(r["abstained"], 3),
                    with_interval(r, "best_fixed_on_other_queries"));
  }
  return text;
}

/// Why entries are missing; "" where none is.
std::string missing_section(const Json& sets) {
  std::string rows;
  const auto add = [&rows](const Json& set, const std::string& place, const Json& missing) {
    for (const auto& [key, reason] : missing.items()) {
      rows += fmt::format("| {} | {}{} | {} |\n", name_of(set), place, key,
                          markdown_cell(reason.get<std::string>()));
    }
  };
  for (const Json& set : sets) {
    add(set, "", set["missing"]);
    for (const char* part : {"coverage", "surrogate", "router"}) {
      const Json missing = field(set[part], "missing");
      if (missing.is_object()) add(set, std::string(part) + ".", missing);
    }
  }
  return rows.empty() ? "" : "\n## Missing\n\n| set | field | reason |\n|---|---|---|\n" + rows;
}

std::string limits_section(const Json& report) {
  return fmt::format(
      "\n## Limits\n\n"
      "- The unit of every interval is the query (95 %, bootstrap of {} resamples: percentiles for "
      "differences, BCa else, or what "
      "`report.json` names under ci_method). They hold for queries like these and for these "
      "workflows, executor and scorer.\n"
      "- The best fixed workflow is chosen on the queries that score it, in other runs. That "
      "favours it by the luck of these queries: the router's last column shows how much where "
      "workflows are nearly equal.\n"
      "- \"Inconclusive\" is not \"equal\": the interval says how large a difference may be.\n"
      "- Scores that could not be read are 0 in files that say so; they count as noise.\n",
      report["settings"]["bootstrap"]["resamples"].get<int64_t>());
}

}  // namespace

std::string runs_markdown(const Json& report) {
  const Json& sets = report["sets"];
  return "# Recorded runs of workflows\n\n" + sets_table(sets) + headroom_section(sets) +
         coverage_section(report) + surrogate_section(report) + router_section(sets) +
         missing_section(sets) + limits_section(report);
}

}  // namespace weft
