#include "trainer/search/collect_traces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/scripted_model.h"
#include "tests/support/support.h"
#include "tests/trainer/search/fakes.h"

namespace weft {
namespace {

using test::FakeScorer;
using test::ScriptedModel;
using test::ScriptedPrompt;
using testing::HasSubstr;

TraceRound round_of(const char* reasoning, double reward, bool valid = true) {
  TraceRound round;
  round.reasoning = reasoning;
  round.feedback = std::string("feedback of ") + reasoning;
  round.reward.total = reward;
  round.valid = valid;
  return round;
}

TEST(JoinRounds, EndsWithTheBestRoundAndTellsTheOnesBefore) {
  const auto trace = join_rounds({round_of("A", 0.2), round_of("B", 0.8), round_of("C", 0.8)});
  EXPECT_EQ(trace.chosen, 1);
  EXPECT_EQ(trace.reasoning, "Round 1. A\nResult: feedback of A\nRound 2. B");
}

TEST(JoinRounds, LeavesASingleRoundAsItIs) {
  EXPECT_EQ(join_rounds({round_of("A", 0.2)}).reasoning, "A");
}

TEST(JoinRounds, NeverChoosesAnInvalidWorkflow) {
  EXPECT_EQ(join_rounds({round_of("A", 0.9, false), round_of("B", 0.1)}).chosen, 1);
  EXPECT_EQ(join_rounds({round_of("A", 0.9, false)}).chosen, -1);
}

TEST(JoinRounds, TakesOutCodeFencesAndMarksOfAReasoningPart) {
  const auto trace = join_rounds({round_of("see ```python </think> and <think> more", 0.2)});
  EXPECT_EQ(trace.reasoning, "see '''python  and  more");
}

// Results alone are no reasoning, whatever they say.
TEST(JoinRounds, HasNoReasoningWhereNoneOfItsRoundsHas) {
  TraceRound bare = round_of("", 0.2), better = round_of("", 0.8);
  EXPECT_EQ(join_rounds({bare, better}).reasoning, "");
  EXPECT_EQ(join_rounds({bare, better}).chosen, 1);
  EXPECT_EQ(join_rounds({bare, round_of("B", 0.8)}).reasoning,
            "Round 1. \nResult: feedback of \nRound 2. B");
}

struct Bench {
  Bench() {
    for (const char* id : {"square", "cube", "root"}) tasks.push_back(test::code_task(id));
    options.rounds = 2;
    options.concurrent_queries = 2;
  }
  Json run(StepGenerator& teacher, int stop_after = -1) {
    scorer.runs_until_stop = stop_after;
    TrajectoryStore store(dir / "store.sqlite");
    const SearchTools tools{
        teacher,
        scorer,
        store,
        [](const Task& task) { return "Task: " + task.prompt; },
        "worker",
        [](const std::vector<const Task*>&, const Candidate&, const Evaluation& evaluation) {
          return "passed " + std::to_string(evaluation.reward.pass);
        }};
    return collect_traces(options, tasks, tools, dir.path());
  }
  std::vector<Trajectory> rows(const std::string& origin) const {
    TrajectoryFilter filter;
    filter.origin = origin;
    return TrajectoryStore(dir / "store.sqlite").select(filter);
  }

  test::TempDir dir;
  TraceOptions options;
  std::vector<Task> tasks;
  FakeScorer scorer;
};

TEST(CollectTraces, JoinsTheRoundsOfEachQuery) {
  Bench bench;
  ScriptedGenerator teacher;
  const Json report = bench.run(teacher);
  EXPECT_EQ(report["traces"], 3);
  EXPECT_EQ(report["teacher"], "scripted");
  const auto traces = bench.rows("scripted"), rounds = bench.rows("scripted/round");
  ASSERT_EQ(traces.size(), 3u);
  ASSERT_EQ(rounds.size(), 6u);
  for (const auto& trace : traces) {
    double best = 0;
    std::string code;
    for (const auto& round : rounds) {
      if (round.task_id != trace.task_id || round.reward <= best) continue;
      best = round.reward;
      code = round.code;
    }
    EXPECT_EQ(trace.code, code);
    EXPECT_EQ(trace.reward, best);
  }
}

std::string workflow_reply(int number) {
  return "Reasoning " + std::to_string(number) +
         ".\n```python\n# Step 1: " + std::to_string(number) + "\n```";
}

TEST(CollectTraces, ShowsTheTeacherWhatItsWorkflowDid) {
  Bench bench;
  bench.tasks.resize(1);
  ScriptedModel model([](const ScriptedPrompt& prompt) { return workflow_reply(prompt.call); });
  ModelGenerator teacher(model, "teacher:m");
  bench.run(teacher);
  const auto requests = model.requests();
  ASSERT_EQ(requests.size(), 2u);
  const auto& text = std::get<std::vector<ChatMessage>>(requests[1].prompt).at(1).content;
  EXPECT_THAT(text, HasSubstr("passed "));
  EXPECT_THAT(text, HasSubstr("# Step 1: 0"));
}

TEST(CollectTraces, KeepEveryTermOfTheRewardInRoundsAndTraces) {
  Bench bench;
  bench.scorer.change = [](const Candidate&, Evaluation evaluation) {
    evaluation.reward.tokens = 0.25;
    return evaluation;
  };
  ScriptedGenerator teacher;
  bench.run(teacher);
  for (const char* origin : {"scripted/round", "scripted"}) {
    for (const Trajectory& row : bench.rows(origin)) {
      EXPECT_EQ(row.usage["reward_tokens"], 0.25) << origin;
    }
  }
}

TEST(CollectTraces, NeedsNoFurtherRoundOnceSolved) {
  Bench bench;
  bench.scorer.change = [](const Candidate&, Evaluation evaluation) {
    evaluation.reward.pass = 1;
    return evaluation;
  };
  ScriptedGenerator teacher;
  bench.run(teacher);
  EXPECT_EQ(bench.rows("scripted/round").size(), 3u);
}

TEST(CollectTraces, GoesOnFromTheRoundItWasStoppedAt) {
  Bench whole, cut;
  ScriptedGenerator teacher;
  whole.run(teacher);
  EXPECT_THROW(cut.run(teacher, 3), Interrupted);
  EXPECT_EQ(cut.rows("scripted/round").size(), 3u);
  EXPECT_EQ(cut.run(teacher)["traces"], 3);
  EXPECT_EQ(cut.scorer.codes.size(), 6u);
  EXPECT_EQ(cut.rows("scripted/round").size(), 6u);
  const auto key = [](const Trajectory& t) { return std::make_pair(t.task_id, t.code); };
  std::set<std::pair<std::string, std::string>> a, b;
  for (const auto& trace : whole.rows("scripted")) a.insert(key(trace));
  for (const auto& trace : cut.rows("scripted")) b.insert(key(trace));
  EXPECT_EQ(a, b);
}

// A round is one row and nothing else: no moment of death lies between two writes. The state here
// knows of no round, as one written before the row would.
TEST(CollectTraces, KnowsARoundByItsRowAlone) {
  Bench bench;
  ScriptedGenerator teacher;
  EXPECT_THROW(bench.run(teacher, 3), Interrupted);
  {
    TrajectoryStore store(bench.dir / "store.sqlite");
    for (const Task& task : bench.tasks) {
      const std::string key = "trace/" + task.id + "/0";
      const auto state = store.get_state(key);
      if (state && state->value("done", false)) continue;
      store.put_state(key, {{"done", false}, {"has_trace", false}, {"rounds", Json::array()}});
    }
  }
  EXPECT_EQ(bench.run(teacher)["traces"], 3);
  EXPECT_EQ(bench.scorer.codes.size(), 6u);
  EXPECT_EQ(bench.rows("scripted/round").size(), 6u);
}

TEST(CollectTraces, StopsAtItsBudgetAndKeepsWhatItHas) {
  Bench bench;
  bench.options.budget.workflows = 4;
  bench.options.concurrent_queries = 1;
  ScriptedGenerator teacher;
  const Json report = bench.run(teacher);
  EXPECT_TRUE(report["budget_exhausted"].get<bool>());
  EXPECT_EQ(report["traces"], 2);
  EXPECT_EQ(bench.scorer.codes.size(), 4u);
}

TEST(CollectTraces, LosesNothingToATeacherThatFailsNowAndThen) {
  Bench bench;
  bench.options.concurrent_queries = 1;
  int calls = 0;
  ScriptedModel model([](const ScriptedPrompt& prompt) { return workflow_reply(prompt.call); },
                      [&](const ScriptedPrompt&) {
                        return ++calls == 4 ? ResponseStatus::kFailed : ResponseStatus::kOk;
                      });
  ModelGenerator teacher(model, "teacher:m");
  const Json report = bench.run(teacher);
  EXPECT_EQ(report["failed"], 1);
  EXPECT_EQ(report["traces"], 2);
  EXPECT_EQ(bench.rows("teacher:m/round").size(), 5u);
  EXPECT_EQ(bench.run(teacher)["traces"], 3);
  EXPECT_EQ(bench.rows("teacher:m/round").size(), 6u);
}

TEST(CollectTraces, GivesUpOnATeacherThatAlwaysFails) {
  Bench bench;
  bench.options.max_failures = 2;
  ScriptedModel model([](const ScriptedPrompt&) { return std::string(); },
                      [](const ScriptedPrompt&) { return ResponseStatus::kFailed; });
  ModelGenerator teacher(model, "teacher:m");
  EXPECT_THROW(bench.run(teacher), Error);
}

// A reasoning teacher behind a server gives its reasoning apart from the text, one on our own
// engine within it, where the prompt may have opened the part.
TEST(CollectTraces, KeepsTheReasoningOfEveryFormOfTeacher) {
  const std::string code = "```python\n# Step 1: x\n```";
  for (const char* before : {"", "First a draft.\n</think>\n\n",
                             "<think>\nFirst a draft.\n</think>\n\n", "First a draft.\n"}) {
    Bench bench;
    ScriptedModel model(before + code);
    if (*before == '\0') model.set_reasoning("First a draft.");
    ModelGenerator teacher(model, "teacher:m");
    const Json report = bench.run(teacher);
    EXPECT_EQ(report["traces"], 3);
    ASSERT_EQ(bench.rows("teacher:m").size(), 3u);
    for (const auto& round : bench.rows("teacher:m/round")) {
      EXPECT_EQ(round.reasoning, "First a draft.");
    }
  }
}

TEST(CollectTraces, CountsAValidWorkflowWithoutReasoningAsWhatItIs) {
  Bench bench;
  ScriptedModel model("```python\n# Step 1: x\n```");
  ModelGenerator teacher(model, "teacher:m");
  for (int run = 0; run < 2; ++run) {  // the second reads it from the store
    try {
      bench.run(teacher);
      FAIL() << "took nothing for a result";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("3 queries have workflows without reasoning"));
    }
    const Json report = read_json_file(bench.dir / "report.json");
    EXPECT_EQ(report["no_reasoning"], 3);
    EXPECT_EQ(report["no_valid_workflow"], 0);
    EXPECT_EQ(report["traces"], 0);
  }
}

TEST(CollectTraces, StoresNoTraceOfAMalformedReply) {
  Bench bench;
  ScriptedModel model("I would rather not.");
  ModelGenerator teacher(model, "teacher:m");
  EXPECT_THROW(bench.run(teacher), Error);
  const Json report = read_json_file(bench.dir / "report.json");
  EXPECT_EQ(report["traces"], 0);
  EXPECT_EQ(report["no_valid_workflow"], 3);
  EXPECT_TRUE(bench.rows("teacher:m").empty());
}

// Nothing failed, nothing was collected: a failed run all the same, and its line says why.
TEST(CollectTraces, EndsWithCountedReasonsWhereNothingWasCollected) {
  Bench bench;
  ScriptedModel model([](const ScriptedPrompt& prompt) {
    return prompt.user.find("cube") != std::string::npos ? "No." : "```python\nx = 1\n";
  });
  ModelGenerator teacher(model, "teacher:m");
  try {
    bench.run(teacher);
    FAIL() << "took nothing for a result";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("not one trace was collected from 3 queries"));
    EXPECT_THAT(error.what(), HasSubstr("4 x the ```python block is not closed"));
    EXPECT_THAT(error.what(), HasSubstr("2 x no ```python block"));
  }
}

TEST(CollectTraces, ChecksThatEachRoundIsOneEditOfTheOneBefore) {
  Bench bench;
  bench.scorer.extent_of = [](const std::string& before, const std::string& after) {
    EXPECT_NE(before, "");
    return EditExtent{1, after.find("vote") == std::string::npos ? 1 : 9};
  };
  ScriptedGenerator teacher;
  const Json report = bench.run(teacher);
  EXPECT_EQ(report["edits_checked"], 3);
  EXPECT_LE(report["edits_larger"].get<int>(), 3);
}

}  // namespace
}  // namespace weft
