#include "trainer/search/budgeted_model.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace weft
