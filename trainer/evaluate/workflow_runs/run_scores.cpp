#include "trainer/evaluate/workflow_runs/run_scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <iterator>
#include <numeric>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/gzip.h"
#include "base/json.h"

namespace weft {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// One run as it was read.
struct Run {
  std::vector<double> scores;  ///< by query
  double usd = kNaN;
};

using Places = std::unordered_map<std::string, size_t>;

/// A number or a text that names something.
std::string name_of(const Json& object, const char* key, const std::string& where) {
  const auto value = get_field<Json>(object, key, where);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  throw_field_error(where, key, "an integer or a string", &value);
}

/// Reads one list of objects: `item` gets each with its place, once its fields are known ones.
template <class Item>
void each_of(const Json& file, const char* key, const FieldNames& known, const std::string& where,
             FieldCounts& further, Item item) {
  size_t number = 0;
  for (const Json& object : get_field<std::vector<Json>>(file, key, where)) {
    const std::string place = fmt::format("{}: {}[{}]", where, key, number++);
    if (!object.is_object()) {
      throw InputError(fmt::format("{}: expected an object, got {}", place, describe_type(object)));
    }
    count_further_fields(object, known, place, further, std::string(key) + ".");
    item(object, place);
  }
}

void add_name(Places& places, std::vector<std::string>& names, std::string name, const char* what,
              const std::string& place) {
  if (!places.emplace(name, names.size()).second) {
    throw InputError(fmt::format("{}: expected each {} once, got \"{}\" again", place, what, name));
  }
  names.push_back(std::move(name));
}

double read_score(const Json& value, const std::string& place) {
  const double score = value.is_number() ? value.get<double>() : kNaN;
  if (score >= 0 && score <= 1) return score;
  throw InputError(fmt::format("{}: expected a score from 0 to 1, got {}", place,
                               value.is_number() ? value.dump() : describe_type(value)));
}

std::vector<double> read_scores(const Json& run, const Places& queries,
                                const std::vector<std::string>& names, const std::string& place) {
  const auto object = get_field<Json>(run, "scores", place);
  if (!object.is_object()) throw_field_error(place, "scores", "an object", &object);
  std::vector<double> scores(queries.size(), kNaN);
  for (const auto& [query, value] : object.items()) {
    const auto found = queries.find(query);
    if (found == queries.end()) {
      throw InputError(
          fmt::format("{}: scores: expected names of queries, got \"{}\"", place, query));
    }
    scores[found->second] = read_score(value, fmt::format("{}: scores: \"{}\"", place, query));
  }
  const auto missing = std::find_if(scores.begin(), scores.end(), [](double s) { return s != s; });
  if (missing != scores.end()) {
    throw InputError(fmt::format("{}: scores: expected one for query \"{}\", got none", place,
                                 names[static_cast<size_t>(missing - scores.begin())]));
  }
  return scores;
}

double read_dollars(const Json& run, const std::string& place) {
  const double usd = get_field_or<double>(run, "cost_total_last", kNaN, place);
  if (usd < 0) {
    throw InputError(
        fmt::format("{}: field \"cost_total_last\": expected at least 0, got {}", place, usd));
  }
  return usd;
}

/// The runs of each workflow, and where the queries' names stand.
std::vector<std::vector<Run>> read_runs(const Json& file, const Places& workflows,
                                        const Places& queries,
                                        const std::vector<std::string>& query_names,
                                        const std::string& where, FieldCounts& further) {
  std::vector<std::vector<Run>> runs(workflows.size());
  std::set<std::pair<size_t, std::string>> seen;
  const auto read = [&](const Json& run, const std::string& place) {
    const std::string name = name_of(run, "workflow", place);
    const auto workflow = workflows.find(name);
    if (workflow == workflows.end()) {
      throw InputError(fmt::format(
          "{}: field \"workflow\": expected one of the workflows, got \"{}\"", place, name));
    }
    const std::string number = name_of(run, "run", place);
    if (!seen.emplace(workflow->second, number).second) {
      throw InputError(
          fmt::format("{}: expected each run of a workflow once, got run \"{}\" of "
                      "workflow \"{}\" again",
                      place, number, name));
    }
    runs[workflow->second].push_back(
        {read_scores(run, queries, query_names, place), read_dollars(run, place)});
  };
  each_of(file, "runs", {"workflow", "run", "scores", "cost_total_last"}, where, further, read);
  return runs;
}

/// Mean over the runs of their dollars, a query.
double dollars_per_query(const std::vector<Run>& runs, size_t num_queries) {
  double sum = 0;
  for (const Run& run : runs) sum += run.usd;
  return sum / static_cast<double>(runs.size() * num_queries);
}

/// How many runs each kept workflow has, from the numbers of runs.
size_t balanced_runs(const std::vector<std::vector<Run>>& runs) {
  size_t repeated = 0, least = std::numeric_limits<size_t>::max();
  for (const auto& of_workflow : runs) {
    if (of_workflow.size() < 2) continue;
    ++repeated;
    least = std::min(least, of_workflow.size());
  }
  const size_t needed = std::min<size_t>(2, runs.size());
  return repeated >= needed && repeated > 0 ? least : 1;
}

void balance(const std::vector<std::vector<Run>>& runs, size_t num_queries, WorkflowRuns& set) {
  const size_t num_runs = balanced_runs(runs);
  std::vector<size_t> kept;
  for (size_t w = 0; w < runs.size(); ++w) {
    if (runs[w].size() >= num_runs) {
      kept.push_back(w);
      set.runs_left_out += static_cast<int64_t>(runs[w].size() - num_runs);
    } else {
      set.left_out.push_back(fmt::format("{} ({} runs)", set.workflows[w], runs[w].size()));
    }
  }
  if (kept.empty()) throw InputError(set.file + ": runs: expected at least one, got none");
  set.scores = RunScores(kept.size(), num_runs, num_queries);
  std::vector<std::string> names;
  for (size_t w = 0; w < kept.size(); ++w) {
    const std::vector<Run>& of_workflow = runs[kept[w]];
    names.push_back(set.workflows[kept[w]]);
    set.usd_per_query.push_back(dollars_per_query(of_workflow, num_queries));
    for (size_t r = 0; r < num_runs; ++r) {
      for (size_t q = 0; q < num_queries; ++q) set.scores.at(w, r, q) = of_workflow[r].scores[q];
    }
  }
  set.workflows = std::move(names);
}

std::string text_of(std::istream& stream) {
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

Json parse_file(const std::filesystem::path& path) {
  const std::string text = path == "-" ? text_of(std::cin) : text_of(*open_text(path));
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    throw InputError(path.string() + ": expected a JSON object, got an empty file");
  }
  Json file = parse_json_row(text, path.string());
  if (!file.is_object()) {
    throw InputError(path.string() + ": expected a JSON object, got " + describe_type(file));
  }
  return file;
}

}  // namespace

std::vector<std::vector<double>> RunScores::query_means(std::span<const size_t> runs) const {
  std::vector<std::vector<double>> means(workflows_, std::vector<double>(queries_));
  for (size_t w = 0; w < workflows_; ++w) {
    for (const size_t run : runs) {
      for (size_t q = 0; q < queries_; ++q) means[w][q] += at(w, run, q);
    }
    for (double& mean : means[w]) mean /= static_cast<double>(runs.size());
  }
  return means;
}

std::vector<std::vector<double>> RunScores::query_means() const {
  std::vector<size_t> all(runs_);
  std::iota(all.begin(), all.end(), size_t{0});
  return query_means(all);
}

WorkflowRuns read_workflow_runs(const std::filesystem::path& path, FieldCounts& further) {
  const Json file = parse_file(path);
  WorkflowRuns set;
  const std::string where = set.file = path.string();
  count_further_fields(file, {"dataset", "source", "workflows", "queries", "runs"}, where, further);
  set.dataset = get_field<std::string>(file, "dataset", where);
  set.source = get_field_or<std::string>(file, "source", "", where);
  Places workflows, queries;
  std::vector<std::string> query_names;
  each_of(file, "workflows", {"workflow", "graph", "prompts", "parent", "modification"}, where,
          further, [&](const Json& object, const std::string& place) {
            add_name(workflows, set.workflows, name_of(object, "workflow", place), "workflow",
                     place);
          });
  each_of(file, "queries", {"query", "text", "expected"}, where, further,
          [&](const Json& object, const std::string& place) {
            add_name(queries, query_names, name_of(object, "query", place), "query", place);
            set.texts.push_back(get_field<std::string>(object, "text", place));
          });
  if (queries.empty()) throw InputError(where + ": queries: expected at least one, got none");
  const auto runs = read_runs(file, workflows, queries, query_names, where, further);
  balance(runs, queries.size(), set);
  return set;
}

}  // namespace weft
