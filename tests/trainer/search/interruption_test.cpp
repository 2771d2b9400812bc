// sample_workflows and collect_traces as programs, stopped and killed at many moments: what the
// store holds in the end is what it holds after a run that was left alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <map>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "data/trajectory_store.h"
#include "tests/model/remote/faulty_server.h"
#include "tests/support/support.h"
#include "workflow/baselines.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;

constexpr int kDelayMs = 15;  // of each answer, so that moments lie apart

/// A pure function of the conversation, whoever asks again. Teacher: workflows of four kinds, every
/// fifth one not valid. Worker: right in one of three.
std::string answer_of(const Json& body) {
  const uint64_t hash = hash64(dump_json(body.at("messages")));
  if (body.at("model") == "teacher") {
    const std::string reasoning = "Idea " + std::to_string(hash % 1000) + ".";
    const std::string code = hash % 5 == 4
                                 ? "print(1)\n"
                                 : cot_sc_workflow(TaskKind::kCode, 1 + static_cast<int>(hash % 4));
    return reasoning + "\n```python\n" + code + "```";
  }
  const char* right = dump_json(body).find("double") != std::string::npos ? "2 * x" : "x ** 3";
  return std::string("```python\ndef f(x):\n    return ") + (hash % 3 ? "None" : right) + "\n```";
}

/// Some requests meet a server that is busy, broken or gone in the middle of its answer.
test::Reply reply_to(int number, const Json& body) {
  test::Reply reply = test::completion_reply(body, answer_of(body));
  if (number % 7 == 3) reply = {429, "{}", {{"Retry-After", "0"}}};
  if (number % 13 == 8) reply = {500, "oops", {}};
  if (number % 17 == 11) reply.cut = true;
  reply.delay_ms = kDelayMs;
  return reply;
}

std::string task_line(int number) {
  const std::string what = number % 2 ? "cube" : "double", id = std::to_string(number);
  const std::string expected = number % 2 ? "27" : "6";
  return R"({"id":"t)" + id + R"(","dataset":"made_up","kind":"code","prompt":"Write f(x), the )" +
         what + " of x, variant " + id +
         R"(.","entry_point":"f","tests":{"public":[{"args":[1],"expected":1}],)" +
         R"("val":[{"args":[3],"expected":)" + expected + "}]}}\n";
}

/// How often each workflow is in a store, by all that a run decides but ids.
std::map<std::string, int> content_of(const fs::path& store_file) {
  TrajectoryStore store(store_file);
  std::map<int64_t, std::string> code_of;
  std::map<std::string, int> content;
  for (const auto& t : store.select()) {
    code_of[t.id] = t.code;
    ++content[dump_json({t.task_id, t.origin, t.kind, t.round, t.code, t.reasoning, t.outcome,
                         t.reward, t.pass_rate, t.usage, t.parent ? code_of.at(t.parent) : ""})];
  }
  return content;
}

class Interruption : public testing::TestWithParam<const char*> {
 protected:
  Interruption()
      : server_([](int number, const std::string&, const Json& body, const std::string&) {
          return reply_to(number, body);
        }) {
    std::string tasks;
    for (int i = 0; i < 6; ++i) tasks += task_line(i);
    write_file_atomically(dir_ / "tasks.jsonl", tasks);
  }

  /// The same program into `out`, going on where there is something to go on with.
  Words command(const std::string& out) const {
    Words sets = {"tasks=" + (dir_ / "tasks.jsonl").string()};
    const bool search = GetParam() == std::string("sample_workflows");
    for (const std::string& role : {std::string("worker"), std::string("teacher_model")}) {
      if (search && role != "worker") continue;
      sets.push_back(role + ".kind=remote");
      sets.push_back(role + ".remote.base_url=" + server_.base_url());
      sets.push_back(role + ".remote.model=" + (role == "worker" ? "worker" : "teacher"));
      sets.push_back(role + ".remote.backoff_base_s=0.01");
      sets.push_back(role + ".remote.max_retries=6");
    }
    if (search) {
      for (const char* set : {"search.smc.particles=3", "search.smc.refined=2",
                              "search.smc.rounds=2", "final.repeats=1", "final.tasks=2"}) {
        sets.push_back(set);
      }
    } else {
      sets.insert(sets.end(), {"teacher.kind=model", "rounds=4", "stop_when_solved=false"});
    }
    Words words = {test::program(GetParam()), "--out", dir_ / out};
    for (const auto& set : sets) words.insert(words.end(), {"--set", set});
    if (fs::exists(dir_ / out / "config.json")) words.push_back("--resume");
    return words;
  }

  int finish(const std::string& out) {
    const auto run = test::run_program(command(out));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.exit_code;
  }

  /// What must be so however a run ended: whole files, and a store that can be read.
  void check_folder(const std::string& out, bool killed) const {
    const fs::path run = dir_ / out;
    if (!fs::exists(run)) return;
    if (!killed) {
      EXPECT_THAT(test::unfinished_files(run), testing::IsEmpty());
    }
    for (const char* name : {"config.json", "report.json", "usage.json"}) {
      if (!fs::exists(run / name)) continue;
      EXPECT_NO_THROW(read_json_file(run / name)) << name;
    }
    if (fs::exists(run / "best_workflow.py")) {
      EXPECT_NE(read_file(run / "best_workflow.py").find("total_cost"), std::string::npos);
    }
    if (fs::exists(run / "store.sqlite")) TrajectoryStore(run / "store.sqlite").select();
  }

  void expect_same_result(const std::string& a, const std::string& b) const {
    EXPECT_EQ(content_of(dir_ / a / "store.sqlite"), content_of(dir_ / b / "store.sqlite"));
    const Json left = read_json_file(dir_ / a / "report.json");
    const Json right = read_json_file(dir_ / b / "report.json");
    for (const char* key : {"counts", "curve", "traces", "done", "no_valid_workflow"}) {
      if (!left.contains(key)) continue;
      EXPECT_EQ(left[key], right[key]) << key;
    }
    EXPECT_EQ(left["spent"]["workflows"], right["spent"]["workflows"]);
    EXPECT_EQ(fs::exists(dir_ / a / "best_workflow.py"), fs::exists(dir_ / b / "best_workflow.py"));
  }

  test::TempDir dir_;
  test::FaultyServer server_;
};

// Four moments of one run: as soon as its folder is there, and at a fifth, two and four fifths of
// the requests that a whole run makes. The group gets the signal, as from a terminal's Ctrl-C.
TEST_P(Interruption, StoppedRunsEndAsIfLeftAlone) {
  ASSERT_EQ(finish("whole"), 0);
  const int total = server_.num_requests();
  ASSERT_GT(total, 40);
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    const std::string out = "signal_" + std::to_string(signal);
    const int before = server_.num_requests();
    for (const int fifths : {0, 1, 2, 4}) {
      test::BackgroundProgram program(command(out), dir_ / (out + ".log"));
      test::wait_until([&] {
        return !program.running() || (fs::exists(dir_ / out / "config.json") &&
                                      server_.num_requests() - before >= total * fifths / 5);
      });
      program.signal_group(signal);
      EXPECT_EQ(program.wait(), 128 + signal) << read_file(dir_ / (out + ".log"));
      check_folder(out, signal == SIGKILL);
    }
    ASSERT_EQ(finish(out), 0);
    expect_same_result("whole", out);
  }
}

// Moments by the clock, start and end of the program included; no signal handler can help.
TEST_P(Interruption, KilledAtAnyMomentNothingIsLostOrTwice) {
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(finish("whole"), 0);
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  Rng rng(5);
  for (int i = 0; i < 10; ++i) {
    test::BackgroundProgram program(command("killed"), dir_ / "log");
    const auto moment = std::chrono::steady_clock::now() + whole * rng.uniform() / 2;
    test::wait_until(
        [&] { return !program.running() || std::chrono::steady_clock::now() >= moment; });
    program.signal_group(SIGKILL);
    program.wait();
    check_folder("killed", true);
  }
  ASSERT_EQ(finish("killed"), 0);
  expect_same_result("whole", "killed");
  ASSERT_EQ(finish("killed"), 0) << "a run that is done is resumed to the same";
  expect_same_result("whole", "killed");
}

INSTANTIATE_TEST_SUITE_P(Programs, Interruption,
                         testing::Values("sample_workflows", "collect_traces"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace weft
