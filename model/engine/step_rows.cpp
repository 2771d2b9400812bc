#include "model/engine/step_rows.h"

namespace weft {

StepRows::StepRows(const std::vector<StepSpan>& step) {
  for (const StepSpan& span : step) {
    const int64_t begin = num_rows(), count = std::ssize(span.ids);
    ids.insert(ids.end(), span.ids.begin(), span.ids.end());
    spans.push_back({begin, count, span.start, span.blocks->data()});
    if (span.wants_logits) wanted.push_back(begin + count - 1);
    if (span.lora && !adapters.empty() && adapters.back().lora == span.lora) {
      adapters.back().end = begin + count;
    } else if (span.lora) {
      adapters.push_back({span.lora, begin, begin + count});
    }
  }
}

}  // namespace weft
