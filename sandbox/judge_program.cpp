#include "sandbox/judge_program.h"

#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>

#include "base/error.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"

namespace weft {
namespace {

Limits parse_limits(const Json& json, const std::string& where) {
  Limits limits;
  if (!json.is_object()) throw InputError(where + ": limits: expected an object");
  for (const auto& [key, value] : json.items()) {
    int64_t* field = key == "cpu_ms"         ? &limits.cpu_ms
                     : key == "wall_ms"      ? &limits.wall_ms
                     : key == "memory_mb"    ? &limits.memory_mb
                     : key == "output_bytes" ? &limits.output_bytes
                     : key == "max_procs"    ? &limits.max_procs
                                             : nullptr;
    if (!field) throw InputError(where + ": limits: unknown key \"" + key + "\"");
    if (!value.is_number_integer()) {
      throw InputError(where + ": limits." + key + ": expected an integer, got " +
                       dump_json(value));
    }
    *field = value.get<int64_t>();
  }
  limits.validate();
  return limits;
}

std::set<std::string> finished_ids(const std::string& path) {
  std::set<std::string> ids;
  if (path == "-" || !std::filesystem::exists(path)) return ids;
  drop_partial_last_line(path);
  JsonlReader reader(path);
  JsonlLine line;
  while (reader.next(line)) {
    if (line.value.is_object() && line.value.contains("id"))
      ids.insert(dump_json(line.value["id"]));
  }
  return ids;
}

int64_t count_lines(const std::string& path) {
  if (path == "-") return 0;
  std::ifstream file(path);
  int64_t count = 0;
  for (std::string line; std::getline(file, line);) count += !line.empty();
  return count;
}

// What became of a row: a line to write, or an error to report.
struct RowResult {
  Json row;
  std::string error;
  bool infra = false;
};

RowResult judge_row(Judge& judge, const Json& row, const std::string& where) {
  RowResult result;
  try {
    const Verdict verdict = judge.run(parse_judge_row(row, where));
    result.row = Json{{"id", row.at("id")}};
    result.row.update(to_json(verdict));
    result.infra = verdict.infra;
  } catch (const InputError& error) {
    const std::string message = error.what();
    result.error = message.starts_with(where) ? message : where + ": " + message;
  }
  return result;
}

class OrderedOutput {
 public:
  OrderedOutput(const JudgeConfig& config, bool resume, int64_t total)
      : writer_(config.out, resume), progress_("judge", total, "candidates") {}

  void take(RowResult result) {
    progress_.advance();
    if (!result.error.empty()) {
      log::error("{}", result.error);
      ++num_bad_;
      return;
    }
    num_infra_ += result.infra;
    writer_.write(result.row);
  }
  void skip() { progress_.advance(); }

  void finish() const {
    if (num_bad_ > 0) throw Error("judge: " + std::to_string(num_bad_) + " bad lines, see above");
    if (num_infra_ > 0) {
      throw Error("judge: " + std::to_string(num_infra_) + " rows failed by infrastructure");
    }
  }

 private:
  JsonlWriter writer_;
  Progress progress_;
  int64_t num_bad_ = 0;
  int64_t num_infra_ = 0;
};

}  // namespace

void JudgeConfig::validate() const {
  if (jobs < 1 || jobs > 256) {
    throw InputError("jobs: expected 1 to 256, got " + std::to_string(jobs));
  }
}

JudgeRequest parse_judge_row(const Json& row, const std::string& where) {
  if (!row.is_object()) {
    throw InputError(where + ": expected an object, got " + describe_type(row));
  }
  const auto id = row.find("id");
  if (id == row.end() || !(id->is_string() || id->is_number_integer())) {
    throw InputError(where + ": id: expected a string or an integer");
  }
  JudgeRequest request;
  request.code = get_field<std::string>(row, "code", where);
  try {
    request.mode = parse_mode(get_field_or<std::string>(row, "mode", "call", where));
  } catch (const InputError& error) {
    throw InputError(where + ": " + error.what());
  }
  request.entry_point = request.mode == Mode::kCall || request.mode == Mode::kJudge
                            ? get_field<std::string>(row, "entry_point", where)
                            : get_field_or<std::string>(row, "entry_point", "", where);
  request.setup = get_field_or<std::string>(row, "setup", "", where);
  request.checker = get_field_or<std::string>(row, "checker", "", where);
  const auto tests = row.find("tests");
  if (tests == row.end() || !tests->is_array() || tests->empty()) {
    throw InputError(where + ": tests: expected a non-empty array");
  }
  for (const auto& test : *tests) request.tests.push_back(test);
  if (const auto limits = row.find("limits"); limits != row.end() && !limits->is_null()) {
    request.limits = parse_limits(*limits, where);
  }
  return request;
}

void run_judge_program(const JudgeConfig& config, bool resume) {
  SandboxOptions options;
  options.num_slots = static_cast<int>(config.jobs);
  options.min_tier = config.min_tier;
  options.allow_inproc = config.allow_inproc;
  JsonlReader reader(config.in);
  const auto finished = resume ? finished_ids(config.out) : std::set<std::string>{};
  Sandbox sandbox(options);
  Judge judge(sandbox);
  OrderedOutput output(config, resume, count_lines(config.in));
  std::deque<std::future<RowResult>> running;
  JsonlLine line;
  while (!stop_signal() && reader.next(line)) {
    if (!line.error.empty()) {
      std::promise<RowResult> bad;
      bad.set_value({{}, line.error, false});
      running.push_back(bad.get_future());
    } else if (line.value.is_object() && line.value.contains("id") &&
               finished.count(dump_json(line.value["id"]))) {
      output.skip();
    } else {
      running.push_back(
          std::async(std::launch::async, [&judge, row = line.value, where = reader.where(line)] {
            return judge_row(judge, row, where);
          }));
    }
    while (static_cast<int64_t>(running.size()) > 2 * config.jobs) {
      output.take(running.front().get());
      running.pop_front();
    }
  }
  for (auto& row : running) output.take(row.get());
  throw_if_stopped();
  output.finish();
}

}  // namespace weft
