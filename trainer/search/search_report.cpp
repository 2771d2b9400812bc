#include "trainer/search/search_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "base/reasons.h"
#include "trainer/search/feedback.h"

namespace weft {

namespace {

std::string error_of(const Trajectory& row) {
  return row.usage.is_object() ? row.usage.value("error", std::string()) : std::string();
}

}  // namespace

std::string listed_reasons(const Json& reasons) {
  std::string text;
  for (const auto& [reason, count] : reasons.items()) {
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count.get<int64_t>(), reason);
  }
  return text.empty() ? "no reason was given" : text;
}

Json reward_curve(const Json& reports) {
  std::map<int64_t, std::vector<Json>> by_round;
  for (const auto& [id, report] : reports.items()) {
    if (!report.is_object()) continue;
    for (const auto& round : report.at("rounds")) {
      by_round[round.at("round").get<int64_t>()].push_back(round);
    }
  }
  Json curve = Json::array();
  for (const auto& [round, entries] : by_round) {
    Json line = {{"round", round}, {"searches", entries.size()}};
    for (const char* key : {"reward_mean", "reward_best", "ess"}) {
      const bool is_reward = std::string(key) != "ess";
      double sum = 0, count = 0;
      for (const auto& entry : entries) {
        if (is_reward && entry.at("scored") == 0) continue;
        sum += entry.at(key).get<double>();
        ++count;
      }
      line[key] = count > 0 ? Json(sum / count) : Json();
    }
    curve.push_back(line);
  }
  return curve;
}

Json counts_of(const std::vector<Trajectory>& rows, const Json& reports) {
  int64_t valid = 0, errors = 0, limits = 0, infra = 0, dropped = 0, named = 0;
  std::set<std::string> distinct;
  for (const auto& row : rows) {
    valid += row.valid;
    errors += row.outcome == "workflow_error";
    limits += row.outcome == "limit";
    infra += row.outcome == "infrastructure";
    named += row.usage.is_object() && row.usage.value("names_query", false);
    distinct.insert(row.code);
  }
  for (const auto& [id, report] : reports.items()) {
    if (report.is_object()) dropped += report.at("dropped").get<int64_t>();
  }
  return {{"workflows", rows.size()}, {"distinct", distinct.size()},
          {"valid", valid},           {"workflow_errors", errors},
          {"limits", limits},         {"infra_errors", infra},
          {"dropped", dropped},       {"name_their_query", named}};
}

Json reasons_of(const std::vector<Trajectory>& rows, const Json& reports) {
  ReasonCounts invalid, failed, infra, generator;
  for (const auto& row : rows) {
    if (row.outcome == "infrastructure") {
      infra.add(error_of(row));
    } else if (!row.valid) {
      invalid.add(error_of(row));
    } else if (row.outcome != "scored") {
      failed.add(error_of(row));
    }
  }
  for (const auto& [id, report] : reports.items()) {
    if (!report.is_object() || !report.contains("generator_failed")) continue;
    for (const auto& [reason, count] : report["generator_failed"].items()) {
      for (int64_t i = 0; i < count.get<int64_t>(); ++i) generator.add(reason);
    }
  }
  return {{"invalid", invalid.to_json()},
          {"failed", failed.to_json()},
          {"infra", infra.to_json()},
          {"generator", generator.to_json()}};
}

bool any_cut(const Json& reports) {
  return std::any_of(reports.begin(), reports.end(), [](const Json& report) {
    return report.is_object() && report.value("cut_by_budget", false);
  });
}

Json edits_of(const std::vector<Trajectory>& rows) {
  int64_t checked = 0, larger = 0, unchanged = 0;
  for (const auto& row : rows) {
    if (!row.usage.is_object() || !row.usage.contains("edit")) continue;
    const Json& edit = row.usage["edit"];
    const EditExtent extent{edit.at("places").get<int64_t>(), edit.at("statements").get<int64_t>()};
    ++checked;
    unchanged += extent.places == 0;
    larger += extent.places > 0 && !is_one_edit(extent);
  }
  return {{"edits_checked", checked}, {"edits_larger", larger}, {"edits_unchanged", unchanged}};
}

void require_found(const std::vector<Trajectory>& rows, const Json& report) {
  const Json& reasons = report.at("reasons");
  if (rows.empty()) {
    const bool failed = !reasons.at("generator").empty();
    throw Error("not one workflow was written: " +
                (failed ? "the generator failed, " + listed_reasons(reasons.at("generator"))
                        : std::string("the budget was spent before the first")));
  }
  int64_t valid = 0, scored = 0;
  for (const auto& row : rows) {
    valid += row.valid;
    scored += row.valid && row.outcome == "scored";
  }
  if (valid == 0) {
    Json why = reasons.at("invalid");
    why.update(reasons.at("infra"));
    throw Error(
        fmt::format("not one of {} workflows is valid: {}", rows.size(), listed_reasons(why)));
  }
  if (scored == 0) {
    Json why = reasons.at("failed");
    why.update(reasons.at("infra"));
    throw Error(fmt::format("not one workflow could be scored, of {} valid ones: {}", valid,
                            listed_reasons(why)));
  }
  const Json& final = report.at("final");
  if (final.is_object() && final.at("best").is_null()) {
    throw Error(fmt::format("not one of {} candidates of the final choice could be scored: {}",
                            final.at("candidates").size(), listed_reasons(final.at("reasons"))));
  }
}

}  // namespace weft
