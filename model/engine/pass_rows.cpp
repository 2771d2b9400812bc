#include "model/engine/pass_rows.h"

namespace weft {

PassRows::PassRows(const std::vector<PassSpan>& pass) {
  for (const PassSpan& span : pass) {
    const int64_t begin = num_rows(), count = std::ssize(span.ids);
    ids.insert(ids.end(), span.ids.begin(), span.ids.end());
    of_draw.resize(ids.size(), static_cast<int32_t>(span.of_draw));
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
