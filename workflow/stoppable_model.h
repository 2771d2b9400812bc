/// A way to end a worker's requests that nobody waits for any more.
#pragma once

#include <mutex>
#include <vector>

#include "model/text_model.h"

namespace weft {

/// Hands everything on to another model, which it borrows, and remembers the cancel flags of what
/// is in flight. Any thread.
class StoppableModel : public TextModel {
 public:
  explicit StoppableModel(TextModel& model) : model_(model) {}
  void submit(TextRequest request, std::function<void(TextResponse)> done) override;
  std::string name() const override { return model_.name(); }

  /// Cancels what is in flight, and whatever is still submitted.
  void stop();

 private:
  TextModel& model_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::vector<std::weak_ptr<std::atomic<bool>>> in_flight_;
};

}  // namespace weft
