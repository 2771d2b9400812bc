#include "trainer/search/budgeted_model.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "tests/support/scripted_model.h"
#include "trainer/search/budget.h"

namespace weft {
namespace {

/// Ten requests at once, each of at most 1 + 256 + 100 tokens; they take 26.
std::vector<TextResponse> ask_ten(TextModel& model) {
  std::vector<TextRequest> requests(10);
  for (auto& request : requests) {
    request.prompt = std::string("q");
    request.sampling.max_tokens = 100;
  }
  return model.complete_all(std::move(requests));
}

TEST(BudgetedModel, NeverExceedsItsBudgetWithTenRequestsAtOnce) {
  for (const int64_t most : {300, 400, 450, 800}) {
    test::ScriptedModel model(std::string(100, 'x'));
    BudgetOptions options;
    options.tokens = most;
    Budget budget(options);
    BudgetedModel budgeted(model, budget.calls());
    int64_t used = 0, answered = 0;
    for (const TextResponse& response : ask_ten(budgeted)) {
      used += response.usage.prompt_tokens + response.usage.completion_tokens;
      answered += response.status == ResponseStatus::kOk;
      if (response.status == ResponseStatus::kOk) continue;
      EXPECT_EQ(response.status, ResponseStatus::kOutOfBudget);
      EXPECT_EQ(response.usage.prompt_tokens, 0);
    }
    EXPECT_LE(used, most);
    EXPECT_EQ(budget.has_refused(), answered < 10) << most;
    EXPECT_EQ(static_cast<size_t>(answered), model.requests().size());
    EXPECT_EQ(answered > 0, most >= 357) << most;
  }
}

TEST(BudgetedModel, HandsOnWhatThereIsRoomForInItsOrder) {
  test::ScriptedModel model(std::string("x"));
  BudgetOptions options;
  options.calls = 10;
  Budget budget(options);
  BudgetedModel budgeted(model, budget.calls());
  for (const TextResponse& response : ask_ten(budgeted)) {
    EXPECT_EQ(response.status, ResponseStatus::kOk);
  }
  EXPECT_EQ(ask_ten(budgeted)[0].status, ResponseStatus::kOutOfBudget);
  EXPECT_EQ(budgeted.name(), model.name());
}

TEST(BudgetedModel, GoesOnOnceACallOfAnotherHasLeftRoom) {
  test::ScriptedModel model(std::string("x"));
  BudgetOptions options;
  options.tokens = 400;
  Budget budget(options);
  BudgetedModel budgeted(model, budget.calls());
  const Worker::Bound of_a_workflow = {300, 0};
  ASSERT_EQ(budget.calls()->reserve(of_a_workflow), CallBudget::Grant::kTaken);
  TextRequest request;
  request.prompt = std::string("q");
  request.sampling.max_tokens = 100;
  std::promise<ResponseStatus> status;
  budgeted.submit(request,
                  [&](const TextResponse& response) { status.set_value(response.status); });
  EXPECT_TRUE(model.requests().empty()) << "there is no room beside the workflow's call";
  budget.calls()->settle(of_a_workflow, {20, 0});
  auto answered = status.get_future();
  ASSERT_EQ(answered.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(answered.get(), ResponseStatus::kOk);
}

TEST(BudgetedModel, AnswersWhatStillWaitsWhenItIsClosed) {
  test::ScriptedModel model(std::string("x"));
  BudgetOptions options;
  options.calls = 1;
  Budget budget(options);
  ASSERT_EQ(budget.calls()->reserve({}), CallBudget::Grant::kTaken);
  ResponseStatus status = ResponseStatus::kOk;
  {
    BudgetedModel budgeted(model, budget.calls());
    TextRequest request;
    request.prompt = std::string("q");
    budgeted.submit(request, [&](const TextResponse& response) { status = response.status; });
  }
  EXPECT_EQ(status, ResponseStatus::kCancelled);
  budget.calls()->settle({}, {});
  EXPECT_TRUE(model.requests().empty());
}

}  // namespace
}  // namespace weft
