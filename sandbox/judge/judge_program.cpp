#include "sandbox/judge/judge_program.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/jsonl.h"
#include "base/known_fields.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/stop.h"

namespace weft {
namespace {

Limits parse_limits(const Json& json, const std::string& where) {
  static const FieldNames known = {"cpu_ms",       "wall_ms",   "job_wall_ms", "memory_mb",
                                   "output_bytes", "max_procs", "scratch_mb"};
  Limits limits;
  if (!json.is_object()) throw InputError(where + ": limits: expected an object");
  for (const auto& [key, value] : json.items()) {
    int64_t* field = key == "cpu_ms"         ? &limits.cpu_ms
                     : key == "wall_ms"      ? &limits.wall_ms
                     : key == "job_wall_ms"  ? &limits.job_wall_ms
                     : key == "memory_mb"    ? &limits.memory_mb
                     : key == "output_bytes" ? &limits.output_bytes
                     : key == "max_procs"    ? &limits.max_procs
                     : key == "scratch_mb"   ? &limits.scratch_mb
                                             : nullptr;
    if (!field) throw_unknown_field(key, known, where + ": limits");
    if (!value.is_number_integer()) {
      throw InputError(where + ": limits." + key + ": expected an integer, got " +
                       dump_json(value));
    }
    *field = value.get<int64_t>();
    if (*field < 0) {
      throw InputError(where + ": limits." + key + ": expected no negative number, got " +
                       dump_json(value));
    }
  }
  limits.validate();
  return limits;
}

// Where a row stands in the input: its id, as JSON; empty for a row without one.
std::string key_of(const Json& row) {
  const bool has_id = row.is_object() && row.contains("id");
  return has_id ? dump_json(row["id"]) : "";
}

std::vector<Json> read_rows(const std::string& path) {
  std::vector<Json> rows;
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) {
    if (!line.error.empty()) throw InputError(line.error);
    rows.push_back(std::move(line.value));
  }
  return rows;
}

void write_rows(const std::string& path, const std::vector<Json>& rows) {
  std::string text;
  for (const auto& row : rows) text += dump_json(row) + "\n";
  write_file_atomically(path, text);
}

std::string fingerprint(const Json& row) { return hex64(hash64(dump_json(row))); }

// Rows that an earlier run has judged: their fingerprints by id, empty where it kept none. Its
// infrastructure failures are moved aside, to be tried again.
using FinishedRows = std::map<std::string, std::string>;
FinishedRows finished_rows(const std::string& path) {
  FinishedRows finished;
  if (path == "-" || !std::filesystem::exists(path)) return finished;
  move_partial_line_aside(path);
  read_rows(path);  // throws where the file is none of ours
  move_lines_aside(path, [](const Json& row) {
    return !row.is_object() || row.value("verdict", Json()) != "INFRA";
  });
  for (const auto& row : read_rows(path)) {
    const std::string key = key_of(row);
    if (!key.empty()) finished.emplace(key, row.value("input", ""));
  }
  return finished;
}

void require_same_row(const Json& row, const std::string& before, const std::string& where) {
  const std::string now = fingerprint(row);
  if (before.empty() || before == now) return;
  throw InputError(where + ": id " + key_of(row) +
                   ": cannot resume, the row differs from the one " + "that was judged: expected " +
                   before + ", got " + now +
                   " (--set 'resume.allow=[\"rows\"]' keeps its verdict)");
}

// Brings rows that a resumed run added behind later ones into the order of the input.
void sort_rows(const std::string& path, const std::vector<std::string>& input_order) {
  std::map<std::string, size_t> rank;
  for (size_t i = 0; i < input_order.size(); ++i) rank.emplace(input_order[i], i);
  const auto before = [&rank](const Json& a, const Json& b) {
    const auto at = [&rank](const Json& row) {
      const auto found = rank.find(key_of(row));
      return found == rank.end() ? rank.size() : found->second;
    };
    return at(a) < at(b);
  };
  auto rows = read_rows(path);
  if (std::is_sorted(rows.begin(), rows.end(), before)) return;
  std::stable_sort(rows.begin(), rows.end(), before);
  write_rows(path, rows);
}

// What became of a row: a line to write, or an error to report.
struct RowResult {
  Json row;
  std::string error;
  bool infra = false;
  bool dropped = false;  ///< the program was stopped before its verdict
};

using StopFlag = std::shared_ptr<std::atomic<bool>>;

RowResult judge_row(Judge& judge, const Json& row, const std::string& where,
                    const StopFlag& stopped) {
  RowResult result;
  try {
    JudgeRequest request = parse_judge_row(row, where);
    request.cancelled = stopped;
    const Verdict verdict = judge.run(request);
    result.dropped = request.is_cancelled();
    result.row = Json{{"id", row.at("id")}, {"input", fingerprint(row)}};
    result.row.update(to_json(verdict));
    result.infra = verdict.infra;
  } catch (const InputError& error) {
    const std::string message = error.what();
    result.error = message.starts_with(where) ? message : where + ": " + message;
  }
  return result;
}

// Waits for a row; at a signal all that are not done are given up.
RowResult wait_for(std::future<RowResult>& row, const StopFlag& stopped) {
  while (row.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
    if (stop_signal()) *stopped = true;
  }
  return row.get();
}

struct RowCounts {
  int64_t bad = 0, infra = 0;
};

class OrderedOutput {
 public:
  OrderedOutput(const JudgeConfig& config, bool resume, int64_t total)
      : writer_(config.out, resume), progress_("judge", total, "candidates") {}

  void take(RowResult result) {
    if (result.dropped) return;
    progress_.advance();
    if (!result.error.empty()) {
      log::error("{}", result.error);
      ++counts_.bad;
      return;
    }
    counts_.infra += result.infra;
    writer_.write(result.row);
  }
  void skip() { progress_.advance(); }

  RowCounts counts() const { return counts_; }

 private:
  JsonlWriter writer_;
  Progress progress_;
  RowCounts counts_;
};

SandboxOptions sandbox_options(const JudgeConfig& config) {
  SandboxOptions options;
  const int64_t slots = config.threads > 0 ? std::min(config.jobs, config.threads) : config.jobs;
  options.num_slots = static_cast<int>(slots);
  options.min_tier = config.min_tier;
  options.packages = config.packages;
  options.allow_inproc = config.allow_inproc;
  return options;
}

void throw_if_failed(const RowCounts& counts) {
  if (counts.bad > 0) throw Error("judge: " + std::to_string(counts.bad) + " bad lines, see above");
  if (counts.infra > 0) {
    throw Error("judge: " + std::to_string(counts.infra) +
                " rows failed by infrastructure; --resume tries them again");
  }
}

}  // namespace

int64_t count_rows(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) return 0;
  const auto file = open_text(path);
  int64_t count = 0;
  for (std::string line; std::getline(*file, line);) count += !line.empty();
  return count;
}

void JudgeConfig::validate() const {
  require_at_least("jobs", jobs, 1);
  require_threads("jobs", jobs);
  require_threads("threads", threads);
}

void JudgeConfig::check_start(StartCheck& check) const {
  check.file("in", in);
  check.output_file("out", out);
  check_sandbox(sandbox_options(*this), check);
}

JudgeRequest parse_judge_row(const Json& row, const std::string& where) {
  static const FieldNames known = {"id",      "code",   "entry_point",
                                   "mode",    "tests",  "setup",
                                   "checker", "limits", "stop_at_first_failure"};
  refuse_unknown_fields(row, known, where);
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
  request.stop_at_first_failure = get_field_or<bool>(row, "stop_at_first_failure", false, where);
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

void run_judge(const JudgeConfig& config, bool resume) {
  const SandboxOptions options = sandbox_options(config);
  JsonlReader reader(config.in);
  const auto finished = resume ? finished_rows(config.out) : FinishedRows{};
  const auto& allow = config.resume.allow;
  const bool any_rows = std::find(allow.begin(), allow.end(), "rows") != allow.end();
  Sandbox sandbox(options);
  log::info("sandbox: {}", sandbox.description());
  Judge judge(sandbox);
  auto output = std::make_unique<OrderedOutput>(config, resume, count_rows(config.in));
  const bool is_appending = !finished.empty();
  std::vector<std::string> input_order;
  std::set<std::string> seen;
  std::deque<std::future<RowResult>> running;
  const auto stopped = std::make_shared<std::atomic<bool>>(false);
  const auto refuse = [&running](const std::string& error) {
    std::promise<RowResult> bad;
    bad.set_value({{}, error, false, false});
    running.push_back(bad.get_future());
  };
  JsonlLine line;
  while (!stop_signal() && reader.next(line)) {
    const std::string key = key_of(line.value);
    if (is_appending) input_order.push_back(key);
    if (!line.error.empty()) {
      refuse(line.error);
    } else if (is_appending && !key.empty() && !seen.insert(key).second) {
      refuse(reader.where(line) + ": id: " + key + " is another line's; --resume needs each once");
    } else if (const auto judged = finished.find(key); judged != finished.end()) {
      if (!any_rows) require_same_row(line.value, judged->second, reader.where(line));
      output->skip();
    } else {
      running.push_back(std::async(std::launch::async,
                                   [&judge, stopped, row = line.value, where = reader.where(line)] {
                                     return judge_row(judge, row, where, stopped);
                                   }));
    }
    while (static_cast<int64_t>(running.size()) > 2 * config.jobs) {
      output->take(wait_for(running.front(), stopped));
      running.pop_front();
    }
  }
  for (auto& row : running) output->take(wait_for(row, stopped));
  throw_if_stopped();
  const RowCounts counts = output->counts();
  output.reset();
  if (is_appending) sort_rows(config.out, input_order);
  throw_if_failed(counts);
}

}  // namespace weft
