#include "trainer/evaluate/estimate_program.h"

#include <fmt/format.h>

#include <limits>

#include "base/known_fields.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/stop.h"
#include "trainer/evaluate/headlines.h"

namespace weft {

namespace {

double read_value(const Json& value, const std::string& where) {
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number()) return value.get<double>();
  throw InputError(
      fmt::format("{}: expected a number or null, got {}", where, describe_type(value)));
}

TaskValues read_values(const Json& object, const char* key, const std::string& where) {
  TaskValues tasks;
  for (const Json& item : get_field<std::vector<Json>>(object, key, where)) {
    const std::string place = fmt::format("{}: {}[{}]", where, key, tasks.size());
    std::vector<double>& values = tasks.emplace_back();
    if (!item.is_array()) {
      values.push_back(read_value(item, place));
      continue;
    }
    for (const Json& value : item) values.push_back(read_value(value, place));
  }
  return tasks;
}

Interval read_bounds(const Json& row, const std::string& where) {
  if (!row.contains("bounds")) return kScoreBounds;
  if (row["bounds"].is_null()) return kNoBounds;
  const auto bounds = get_field<std::vector<double>>(row, "bounds", where);
  if (bounds.size() != 2 || !(bounds[0] < bounds[1])) {
    throw InputError(fmt::format("{}: bounds: expected [low, high] with low < high, got {}", where,
                                 dump_json(row["bounds"])));
  }
  return {bounds[0], bounds[1]};
}

void check_fields(const Json& row, const std::string& where) {
  static const FieldNames known = {"id", "values", "minus", "bounds", "minus_strongest"};
  refuse_unknown_fields(row, known, where);
  if (row.contains("minus") && row.contains("minus_strongest")) {
    throw InputError(where + ": expected minus or minus_strongest, got both");
  }
}

/// The difference to the strongest rival, with "against" and "among".
Estimate against_strongest(const Json& row, const TaskValues& values,
                           const BootstrapOptions& options, Interval bounds,
                           const std::string& where, Json& answer) {
  std::vector<Contender> rivals;
  Json among = Json::array();
  static const FieldNames known = {"name", "values"};
  for (const Json& rival : get_field<std::vector<Json>>(row, "minus_strongest", where)) {
    refuse_unknown_fields(rival, known, where + ": minus_strongest");
    rivals.push_back(
        {get_field<std::string>(rival, "name", where), read_values(rival, "values", where)});
    among.push_back(rivals.back().name);
  }
  const auto comparison = compare_with_strongest(values, rivals, options, bounds);
  if (!comparison) throw InputError(where + ": minus_strongest: expected a rival with a value");
  answer["against"] = rivals[comparison->strongest].name;
  answer["among"] = std::move(among);
  return comparison->difference;
}

}  // namespace

void EstimateOptions::validate() const {
  if (in.empty()) throw InputError("in: expected a file, got nothing");
  if (out.empty()) throw InputError("out: expected a file, got nothing");
  bootstrap.validate();
  require_threads("threads", threads);
}

Json estimate_row(const Json& row, const BootstrapOptions& options, const std::string& where) {
  check_fields(row, where);
  Json answer = {{"id", get_field<std::string>(row, "id", where)}};
  const TaskValues values = read_values(row, "values", where);
  const Interval bounds = read_bounds(row, where);
  try {
    if (row.contains("minus_strongest")) {
      const Estimate difference = against_strongest(row, values, options, bounds, where, answer);
      add_estimate(answer, "mean", difference);
      answer["reading"] = reading_of(difference.ci);
    } else if (row.contains("minus")) {
      const Estimate difference =
          estimate_difference(values, read_values(row, "minus", where), options, bounds);
      add_estimate(answer, "mean", difference);
      answer["reading"] = reading_of(difference.ci);
    } else {
      add_estimate(answer, "mean", estimate_mean(values, options, bounds));
    }
  } catch (const InputError& error) {
    const std::string message = error.what();
    throw InputError(message.starts_with(where) ? message : where + ": " + message);
  }
  return answer;
}

int64_t estimate_rows(JsonlReader& in, JsonlWriter& out, const BootstrapOptions& options) {
  int64_t num_bad = 0;
  for (JsonlLine line; in.next(line);) {
    throw_if_stopped();
    try {
      if (!line.error.empty()) throw InputError(line.error);
      out.write(estimate_row(line.value, options, in.where(line)));
    } catch (const InputError& error) {
      log::error("{}", error.what());
      ++num_bad;
    }
  }
  return num_bad;
}

}  // namespace weft
