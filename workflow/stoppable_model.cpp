#include "workflow/stoppable_model.h"

#include <algorithm>

namespace weft {

void StoppableModel::submit(TextRequest request, std::function<void(TextResponse)> done) {
  if (!request.cancelled) request.cancelled = std::make_shared<std::atomic<bool>>(false);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) request.cancelled->store(true);
    std::erase_if(in_flight_, [](const auto& flag) { return flag.expired(); });
    in_flight_.push_back(request.cancelled);
  }
  const CancelFlag held = request.cancelled;
  model_.submit(std::move(request), [held, done = std::move(done)](TextResponse response) {
    done(std::move(response));
  });
}

void StoppableModel::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (const auto& flag : in_flight_) {
    if (const auto held = flag.lock()) held->store(true);
  }
}

}  // namespace weft
