#include "trainer/search/collector.h"

#include "base/stop.h"

namespace weft {

std::vector<TextResponse> complete_all_or_stop(TextModel& model,
                                               std::vector<TextRequest> requests) {
  const auto collector = std::make_shared<Collector<TextResponse>>();
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  std::vector<TextResponse> responses(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].cancelled = cancelled;
    model.submit(std::move(requests[i]),
                 [collector, i](TextResponse response) { collector->put(i, std::move(response)); });
  }
  for (size_t missing = requests.size(); missing > 0;) {
    if (auto answer = collector->next(std::chrono::milliseconds(100))) {
      responses[answer->first] = std::move(answer->second);
      --missing;
    }
    if (stop_signal() != 0) cancelled->store(true);
  }
  throw_if_stopped();
  return responses;
}

}  // namespace weft
