/// A model whose requests are set aside in a budget that others share.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "model/text_model.h"
#include "sandbox/workflow/worker.h"

namespace weft {

/// A request that the budget has no room for waits for the calls under way, this model's or
/// another's; where these leave too little it comes back as kOutOfBudget. The most that a request
/// can take is a token for each byte of its prompt, a margin for the chat template, and max_tokens
/// for each completion. Thread-safe; borrows the model, may be destroyed before its requests have
/// come back.
class BudgetedModel : public TextModel {
 public:
  BudgetedModel(TextModel& model, std::shared_ptr<CallBudget> budget);
  std::string name() const override { return model_.name(); }
  TextPrice price() const override { return model_.price(); }
  void submit(TextRequest request, std::function<void(TextResponse)> done) override;

 private:
  struct Queue;
  TextModel& model_;
  std::shared_ptr<Queue> queue_;
};

}  // namespace weft
