#include "trainer/evaluate/failures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ResultRow row(const std::string& method, OutcomeKind status, const std::string& error = "") {
  ResultRow result;
  result.method = method;
  result.status = status;
  result.error = error;
  return result;
}

/// What is thrown about io and m, or "" when nothing is.
std::string failure(const std::vector<ResultRow>& rows) {
  try {
    require_scored_rows(parse_methods({"io", "m=meta:dir"}), rows);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const ResultRow kScored = row("io", OutcomeKind::kScored);

TEST(Failures, MethodWithAScoredRowIsEvaluated) {
  EXPECT_EQ(failure({kScored, row("io", OutcomeKind::kInfrastructure, "worker: HTTP 503"),
                     row("m", OutcomeKind::kScored)}),
            "");
}

TEST(Failures, MethodWhoseEveryRunIsMissingIsNamedWithItsReasons) {
  const std::string text = failure({kScored, row("m", OutcomeKind::kInfrastructure, "no route"),
                                    row("m", OutcomeKind::kInfrastructure, "worker: HTTP 503"),
                                    row("m", OutcomeKind::kInfrastructure, "worker: HTTP 503")});
  EXPECT_THAT(text, HasSubstr("m (2 x worker: HTTP 503, 1 x no route)"));
  EXPECT_THAT(text, Not(HasSubstr("io")));
}

TEST(Failures, MethodWithoutAnyRowIsNamed) { EXPECT_THAT(failure({kScored}), HasSubstr("m (")); }

// A server that refuses every call (HTTP 400) makes workflows raise: a score of 0 by the status of
// the rows, and no statement about the method.
TEST(Failures, MethodWhoseEveryCallWasRefusedIsNamed) {
  ResultRow refused =
      row("m", OutcomeKind::kWorkflowError, "RuntimeError: HTTP 400: no such model");
  refused.calls = 1;
  refused.meta_tokens = 50;
  EXPECT_THAT(failure({kScored, refused}), HasSubstr("m (1 x RuntimeError: HTTP 400"));
  ResultRow hung = row("m", OutcomeKind::kLimit, "time");
  hung.calls = 2;
  EXPECT_THAT(failure({kScored, hung}), HasSubstr("m (1 x time)"));
  const ResultRow unwritten = row("m", OutcomeKind::kInvalid, "meta-agent: HTTP 400: too long");
  EXPECT_THAT(failure({kScored, unwritten}), HasSubstr("m (1 x meta-agent: HTTP 400"));
}

TEST(Failures, InvalidAndFailingWorkflowsAreAScoreOfZeroBesideOtherMethods) {
  ResultRow invalid = row("m", OutcomeKind::kInvalid, "no class Workflow");
  invalid.meta_tokens = 50;
  EXPECT_EQ(failure({kScored, invalid}), "");
  ResultRow raised = row("m", OutcomeKind::kWorkflowError, "ValueError");
  raised.calls = 1;
  raised.worker_tokens = 30;
  EXPECT_EQ(failure({kScored, raised}), "");
}

TEST(Failures, RunInWhichNothingWasScoredNamesEveryMethod) {
  ResultRow invalid = row("m", OutcomeKind::kInvalid, "no class Workflow");
  invalid.meta_tokens = 50;
  const std::string text =
      failure({row("io", OutcomeKind::kInfrastructure, "worker: HTTP 503"), invalid});
  EXPECT_THAT(text, HasSubstr("io (1 x worker: HTTP 503), m (1 x no class Workflow)"));
}

}  // namespace
}  // namespace weft
