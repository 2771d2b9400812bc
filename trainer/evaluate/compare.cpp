#include "trainer/evaluate/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "trainer/evaluate/paired.h"
#include "trainer/evaluate/report.h"

namespace weft {

namespace {

/// Config keys, with those below them, that say nothing of what was measured.
const std::set<std::string> kNoResult = {
    "out",    "methods",        "compare",       "title",
    "curves", "example_before", "example_after", "num_examples",
    "resume", "bootstrap",      "contamination", "trace_bytes",
    "cache",  "threads",        "sandbox_slots", "max_in_flight"};

/// "a.b.c" -> value, for every value of an object that is no object itself.
void flatten(const Json& json, const std::string& prefix, std::map<std::string, Json>& flat) {
  for (const auto& [key, value] : json.items()) {
    if (prefix.empty() && kNoResult.contains(key)) continue;
    if (value.is_object() && !value.empty()) {
      flatten(value, prefix + key + ".", flat);
    } else {
      flat[prefix + key] = value;
    }
  }
}

void add_differences(const std::map<std::string, Json>& first,
                     const std::map<std::string, Json>& second, Json& list) {
  std::set<std::string> keys;
  for (const auto& [key, value] : first) keys.insert(key);
  for (const auto& [key, value] : second) keys.insert(key);
  const auto value_of = [](const std::map<std::string, Json>& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? Json() : found->second;
  };
  for (const std::string& key : keys) {
    const Json a = value_of(first, key), b = value_of(second, key);
    if (a != b) list.push_back({{"what", key}, {"runs", Json::array({a, b})}});
  }
}

std::string report_of(const EvaluatedRun& run) { return run.dir + "/report.json"; }

/// Name -> spec of a run's methods; null where a run of old does not tell it.
using Specs = std::map<std::string, Json>;

Specs specs_of(const EvaluatedRun& run) {
  Specs specs;
  const std::string where = report_of(run) + ": methods";
  for (const Json& method : get_field<Json>(run.report, "methods", report_of(run))) {
    const auto name = get_field<std::string>(method, "name", where);
    const bool is_new = specs.emplace(name, method.value("spec", Json())).second;
    if (!is_new)
      throw InputError(where + ": expected the name \"" + name + "\" once, got it twice");
  }
  return specs;
}

/// Of the methods that both have and tell the spec of, by "methods.NAME".
Specs shared_specs(const Specs& specs, const Specs& others) {
  Specs shared;
  for (const auto& [name, spec] : specs) {
    const auto other = others.find(name);
    if (other == others.end() || other->second.is_null() || spec.is_null()) continue;
    shared["methods." + name] = spec;
  }
  return shared;
}

/// Whether an input, "methods.NAME" or "methods.NAME.store", is of a method that only one run has.
bool is_of_lone_method(const std::string& input, const Specs& specs, const Specs& others) {
  const auto is_input_of = [&input](const std::string& name) {
    return (input + ".").starts_with("methods." + name + ".");
  };
  bool is_lone = false;
  for (const Specs* of : {&specs, &others}) {
    for (const auto& [name, spec] : *of) {
      if (!is_input_of(name)) continue;
      if (specs.contains(name) && others.contains(name)) return false;
      is_lone = true;
    }
  }
  return is_lone;
}

/// Fingerprints of what the run read, but for methods that the other lacks.
std::map<std::string, Json> fingerprints(const EvaluatedRun& run, const Specs& specs,
                                         const Specs& others) {
  std::map<std::string, Json> hashes;
  for (const auto& [name, input] : run.inputs.items()) {
    if (is_of_lone_method(name, specs, others)) continue;
    const std::string where = run.dir + "/inputs.json: inputs." + name;
    hashes["content of " + name] = get_field<std::string>(input, "hash", where);
  }
  return hashes;
}

Json differences(const EvaluatedRun& first, const EvaluatedRun& second) {
  std::map<std::string, Json> a, b;
  flatten(first.config, "", a);
  flatten(second.config, "", b);
  Json list = Json::array();
  add_differences(a, b, list);
  const Json rule_a = first.report.value("scoring", Json()),
             rule_b = second.report.value("scoring", Json());
  if (rule_a != rule_b)
    list.push_back({{"what", "scoring"}, {"runs", Json::array({rule_a, rule_b})}});
  const Specs specs = specs_of(first), others = specs_of(second);
  add_differences(shared_specs(specs, others), shared_specs(others, specs), list);
  add_differences(fingerprints(first, specs, others), fingerprints(second, others, specs), list);
  return list;
}

std::vector<std::string> method_names(const EvaluatedRun& run) {
  std::vector<std::string> names;
  for (const Json& method : run.report["methods"]) names.push_back(method["name"]);
  return names;
}

std::vector<std::string> without(const std::vector<std::string>& names,
                                 const std::vector<std::string>& others) {
  std::vector<std::string> left;
  for (const std::string& name : names) {
    if (std::find(others.begin(), others.end(), name) == others.end()) left.push_back(name);
  }
  return left;
}

/// The method's scores of these tasks, NaN where it has none.
std::vector<double> scores_of(const EvaluatedRun& run, const std::string& method,
                              const std::vector<std::string>& tasks) {
  std::vector<double> scores;
  for (const std::string& task : tasks) {
    const Json score = run.report["tasks"][task].value(method, Json());
    const bool known = score.is_number();
    const bool is_score = known && score.get<double>() >= 0 && score.get<double>() <= 1;
    if (!is_score && !score.is_null()) {
      throw InputError(fmt::format("{}: tasks.{}.{}: expected a number from 0 to 1 or null, got {}",
                                   report_of(run), task, method,
                                   known ? dump_json(score) : describe_type(score)));
    }
    scores.push_back(known ? score.get<double>() : std::numeric_limits<double>::quiet_NaN());
  }
  return scores;
}

/// Mean over the tasks that both have.
double shared_mean(const std::vector<double>& values, const std::vector<double>& others) {
  double sum = 0, count = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i]) || std::isnan(others[i])) continue;
    sum += values[i];
    ++count;
  }
  return sum / count;
}

Json describe_run(const EvaluatedRun& run) {
  const std::string where = report_of(run);
  const Json summary = get_field_or<Json>(run.report, "summary", Json::object(), where);
  if (!summary.is_object()) throw_field_error(where, "summary", "an object", &summary);
  const auto text = [&](const char* key) {
    return get_field_or<std::string>(summary, key, "", where + ": summary");
  };
  return {{"dir", run.dir},
          {"title", text("title")},
          {"date", text("date")},
          {"worker", text("worker")},
          {"tasks", run.report["tasks"].size()}};
}

std::string shown(const Json& value, const char* format) {
  return value.is_number() ? fmt::format(fmt::runtime(format), value.get<double>()) : "-";
}

std::string markdown_differences(const Json& comparison) {
  if (comparison["differences"].empty()) return "\nThe runs differ in no setting and no input.\n";
  std::string text =
      "\nThe runs differ in more than their methods:\n\n| what | first | second |\n|---|---|---|\n";
  for (const Json& difference : comparison["differences"]) {
    text += fmt::format("| {} | {} | {} |\n", markdown_cell(difference["what"].get<std::string>()),
                        markdown_cell(dump_json(difference["runs"][0])),
                        markdown_cell(dump_json(difference["runs"][1])));
  }
  return text;
}

std::string markdown_lone_methods(const Json& comparison) {
  std::string text;
  for (const size_t run : {0, 1}) {
    const auto names = comparison["only_in"][run].get<std::vector<std::string>>();
    if (names.empty()) continue;
    text += fmt::format("\nOnly in the {} run: {}.\n", run == 0 ? "first" : "second",
                        fmt::join(names, ", "));
  }
  return text;
}

}  // namespace

EvaluatedRun read_evaluated_run(const std::filesystem::path& dir) {
  EvaluatedRun run;
  run.dir = dir.string();
  for (const char* name : {"report.json", "config.json"}) {
    if (fs::exists(dir / name)) continue;
    throw InputError(
        fmt::format("compare: {}: expected the folder of a finished run of evaluate, it has no {}",
                    run.dir, name));
  }
  run.report = read_json_file(dir / "report.json");
  run.config = read_json_file(dir / "config.json");
  if (fs::exists(dir / "inputs.json")) {
    const Json file = read_json_file(dir / "inputs.json");
    run.inputs = get_field<Json>(file, "inputs", run.dir + "/inputs.json");
  }
  const std::string where = report_of(run);
  const std::pair<const Json*, std::string> objects[] = {{&run.report, where},
                                                         {&run.config, run.dir + "/config.json"},
                                                         {&run.inputs, run.dir + "/inputs.json"}};
  for (const auto& [object, file] : objects) {
    if (object->is_object()) continue;
    throw InputError(file + ": expected an object, got " + describe_type(*object));
  }
  for (const char* name : {"tasks", "methods"}) {
    const Json value = get_field<Json>(run.report, name, where);
    const bool is_list = name == std::string("methods");
    if (is_list ? value.is_array() : value.is_object()) continue;
    throw_field_error(where, name, is_list ? "an array" : "an object", &value);
  }
  const Json tasks = run.report["tasks"];
  for (const auto& [task, scores] : tasks.items()) {
    if (!scores.is_object())
      throw_field_error(where, "tasks", "scores of methods by task", &scores);
  }
  return run;
}

Json compare_runs(const EvaluatedRun& first, const EvaluatedRun& second,
                  const BootstrapOptions& bootstrap) {
  std::vector<std::string> tasks;
  for (const auto& [task, scores] : first.report["tasks"].items()) {
    if (second.report["tasks"].contains(task)) tasks.push_back(task);
  }
  Json differing = differences(first, second);
  const auto names = method_names(first), others = method_names(second);
  Json json = {{"runs", Json::array({describe_run(first), describe_run(second)})},
               {"differences", std::move(differing)},
               {"tasks",
                {{"shared", tasks.size()},
                 {"only_in",
                  {first.report["tasks"].size() - tasks.size(),
                   second.report["tasks"].size() - tasks.size()}}}},
               {"methods", Json::array()},
               {"only_in", Json::array({without(names, others), without(others, names)})}};
  bool any = false;
  for (const std::string& name : names) {
    if (std::find(others.begin(), others.end(), name) == others.end()) continue;
    const auto before = scores_of(first, name, tasks), after = scores_of(second, name, tasks);
    Json method = {
        {"name", name},
        {"scores",
         {number_or_null(shared_mean(before, after)), number_or_null(shared_mean(after, before))}}};
    method.update(compare_scores(after, before, bootstrap));
    any = any || method["n"] > 0;
    json["methods"].push_back(std::move(method));
  }
  if (!any) {
    throw Error(fmt::format(
        "compare: nothing to compare: {} tasks in both runs, methods {} in the first and {} in the "
        "second",
        tasks.size(), fmt::join(names, ", "), fmt::join(others, ", ")));
  }
  return json;
}

std::string markdown_comparison(const Json& comparison) {
  std::string text =
      "# Two runs\n\n| run | folder | title | date | worker | tasks "
      "|\n|---|---|---|---|---|---:|\n";
  const char* place = "first";
  for (const Json& run : comparison["runs"]) {
    text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", std::exchange(place, "second"),
                        markdown_cell(run["dir"]), markdown_cell(run["title"]),
                        markdown_cell(run["date"]), markdown_cell(run["worker"]),
                        run["tasks"].get<size_t>());
  }
  const Json& tasks = comparison["tasks"];
  text += fmt::format("\n{} tasks are in both, {} in the first only and {} in the second only.\n",
                      tasks["shared"].get<size_t>(), tasks["only_in"][0].get<size_t>(),
                      tasks["only_in"][1].get<size_t>());
  text += markdown_differences(comparison);
  text +=
      "\n| method | tasks | first | second | second - first | 95 % interval | second is | only "
      "second : only first | McNemar p |\n|---|---:|---:|---:|---:|---:|---|---:|---:|\n";
  std::string power;
  for (const Json& m : comparison["methods"]) {
    const Json test = m.value("mcnemar", Json::object());
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} to {} | {} | {} : {} | {} |\n", markdown_cell(m["name"]),
        m["n"].get<int64_t>(), shown(m["scores"][0], "{:.3f}"), shown(m["scores"][1], "{:.3f}"),
        shown(m["diff"], "{:+.3f}"), shown(m["ci95"][0], "{:+.3f}"), shown(m["ci95"][1], "{:+.3f}"),
        m["reading"].get<std::string>(), shown(test.value("only_a", Json()), "{:.0f}"),
        shown(test.value("only_b", Json()), "{:.0f}"), shown(test.value("p", Json()), "{:.3g}"));
    power += fmt::format("- {}: {}.\n", markdown_cell(m["name"]), m["power"].get<std::string>());
  }
  return text + markdown_lone_methods(comparison) +
         "\nWhat these comparisons could show, with 80 % power at a two-sided level of 5 %:\n\n" +
         power;
}

std::string run_comparison(const std::vector<std::string>& dirs, const std::string& out,
                           const BootstrapOptions& bootstrap) {
  if (dirs.size() != 2) {
    throw InputError(fmt::format("compare: expected two run folders, got {}", dirs.size()));
  }
  const Json comparison =
      compare_runs(read_evaluated_run(dirs[0]), read_evaluated_run(dirs[1]), bootstrap);
  if (!out.empty()) write_file_atomically(out, dump_json_pretty(comparison));
  return markdown_comparison(comparison);
}

}  // namespace weft
