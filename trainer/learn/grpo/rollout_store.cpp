#include "trainer/learn/grpo/rollout_store.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "data/reward_terms.h"
#include "workflow/completion_form.h"
#include "workflow/steps.h"

namespace weft {
namespace {

constexpr const char* kWhere = "rollout";

/// Null stands for a number that is not finite.
double number_of(const Json& row, const char* key) {
  const Json value = row.value(key, Json());
  return value.is_number() ? value.get<double>() : std::nan("");
}

void read_text(const std::string& text, Trajectory& row) {
  CompletionParts parts = split_completion(text);
  const bool has_form = parts.problem.empty();
  row.reasoning = has_form ? std::move(parts.reasoning) : text;
  if (has_form) row.code = std::move(parts.code);
  row.num_steps = static_cast<int>(step_numbers(row.code).size());
}

Json usage_of(const Json& rollout, const std::string& problem) {
  Json usage = rollout.value("usage", Json::object());
  if (!usage.is_object()) usage = Json::object();
  if (!problem.empty()) usage["error"] = problem;
  usage["generator_calls"] = 1;
  usage["generator_prompt_tokens"] = get_field<Json>(rollout, "prompt_ids", kWhere).size();
  usage["generator_completion_tokens"] = get_field<Json>(rollout, "completion_ids", kWhere).size();
  return usage;
}

/// `sample` is its number in its group.
Trajectory to_trajectory(const Json& rollout, int64_t step, int64_t sample) {
  Trajectory row;
  row.task_id = get_field<std::string>(rollout, "task_id", kWhere);
  row.kind = "rollout";
  read_text(get_field<std::string>(rollout, "text", kWhere), row);
  row.valid = get_field<bool>(rollout, "valid", kWhere);
  const double reward = number_of(rollout, "reward");
  row.outcome = std::isfinite(reward) ? get_field<std::string>(rollout, "outcome", kWhere)
                                      : std::string("infrastructure");
  row.usage = usage_of(rollout, rollout.value("problem", std::string()));
  RewardTerms terms = read_terms(rollout);
  terms.total = std::isfinite(reward) ? reward : 0;
  put_reward(row, terms);
  row.seed =
      hash_combine(get_field<uint64_t>(rollout, "group", kWhere), static_cast<uint64_t>(sample));
  row.round = static_cast<int>(step);
  return row;
}

std::map<std::string, std::string> queries_of(
    const std::vector<Task>& tasks, const std::function<std::string(const Task&)>& query) {
  std::map<std::string, std::string> result;
  for (const Task& task : tasks) result.emplace(task.id, query(task));
  return result;
}

}  // namespace

RolloutStore::RolloutStore(const std::filesystem::path& store, const Source& source,
                           const std::vector<Task>& tasks)
    : origin_(source.origin),
      model_version_(source.model_version),
      query_of_(queries_of(tasks, source.query)),
      log_(store, {.repeats = TrajectoryLog::Repeats::kLeftOut}) {}

void RolloutStore::add(int64_t step, const std::vector<Json>& rows) {
  std::map<uint64_t, int64_t> samples;  // so far, by group
  std::vector<Trajectory> found;
  for (const Json& rollout : rows) {
    const int64_t sample = samples[get_field<uint64_t>(rollout, "group", kWhere)]++;
    if (get_field<Json>(rollout, "completion_ids", kWhere).empty()) continue;
    Trajectory row = to_trajectory(rollout, step, sample);
    row.origin = origin_;
    row.model_version = model_version_;
    const auto query = query_of_.find(row.task_id);
    if (query != query_of_.end()) row.prompt = query->second;
    found.push_back(std::move(row));
  }
  log_.add(std::move(found));
}

void RolloutStore::add_missing(const std::filesystem::path& rollouts, int64_t last_step) {
  if (!std::filesystem::exists(rollouts)) return;
  JsonlReader reader(rollouts);
  std::vector<Json> rows;
  int64_t step = 0;
  const auto hand_on = [&] {
    try {
      add(step, rows);
    } catch (const InputError& error) {
      log::warn("{}: the rollouts of step {} are not stored: {}", rollouts.string(), step,
                error.what());
    }
    rows.clear();
    log_.flush();
  };
  for (JsonlLine line; reader.next(line);) {
    if (!line.error.empty()) continue;
    const auto at = get_field<int64_t>(line.value, "step", reader.where(line));
    if (at > last_step) break;
    if (at != step) hand_on();
    step = at;
    rows.push_back(std::move(line.value));
  }
  hand_on();
}

int64_t RolloutStore::num_missing() {
  log_.flush();
  const TrajectoryLog::Counts counts = log_.counts();
  return counts.waiting + counts.lost;
}

}  // namespace weft
