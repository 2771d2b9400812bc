#include "workflow/round_runner.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "base/error.h"
#include "tests/support/fake_environment.h"

namespace weft {
namespace {

WorkflowRound play(WorkflowEnvironment& environment, const std::string& completion) {
  const Task task;
  std::promise<WorkflowRound> promise;
  RoundRunner rounds(environment);
  rounds.submit(task, completion, 7, [&](WorkflowRound r) { promise.set_value(std::move(r)); });
  return promise.get_future().get();
}

TEST(RoundRunner, GivesWhatWasWrittenWithWhatCameOfIt) {
  test::FakeEnvironment environment;
  uint64_t seed = 0;
  environment.on_run = [&seed](const RunRequest& request) {
    seed = request.seed;
    return test::rewarded(static_cast<double>(request.workflow->code.size()));
  };
  const WorkflowRound round = play(environment, "code");
  EXPECT_EQ(round.workflow.code, "code");
  EXPECT_EQ(round.outcome.reward->total, 4);
  EXPECT_EQ(seed, 7u);
  EXPECT_EQ(round.problem(), "");
}

TEST(RoundRunner, ChecksOnAThreadThatIsNotTheCallers) {
  test::FakeEnvironment environment;
  std::thread::id checker;
  environment.on_check = [&checker](const std::string&) {
    checker = std::this_thread::get_id();
    return Workflow();
  };
  play(environment, "x");
  EXPECT_NE(checker, std::this_thread::get_id());
}

TEST(RoundRunner, ACheckThatFailsIsNotThePolicysDoing) {
  test::FakeEnvironment environment;
  environment.on_check = [](const std::string&) -> Workflow { throw Error("no analyser"); };
  const WorkflowRound round = play(environment, "x");
  EXPECT_EQ(round.outcome.kind, Outcome::Kind::kInfrastructure);
  EXPECT_FALSE(round.outcome.reward);
  EXPECT_EQ(round.problem(), "static check: no analyser");
}

TEST(RoundRunner, ItsEndWaitsForWhatWasSubmitted) {
  test::FakeEnvironment environment;
  int done = 0;
  const Task task;
  {
    RoundRunner rounds(environment);
    for (int i = 0; i < 20; ++i) rounds.submit(task, "x", 1, [&done](WorkflowRound) { ++done; });
  }
  EXPECT_EQ(done, 20);
}

TEST(WorkflowRound, SaysWhatIsWrongWithTheWorkflowBeforeWhatCameOfIt) {
  WorkflowRound round;
  round.workflow.problem = "no class Workflow";
  round.outcome.kind = Outcome::Kind::kWorkflowError;
  round.outcome.error = "not valid: no class Workflow";
  EXPECT_EQ(round.problem(), "no class Workflow");
  round.outcome.kind = Outcome::Kind::kInfrastructure;
  EXPECT_EQ(round.problem(), "not valid: no class Workflow");
}

}  // namespace
}  // namespace weft
