#include "model/sequence_table.h"

#include <set>

namespace weft {

void require_distinct(const std::vector<SequenceModel::Extension>& extensions) {
  std::set<SequenceId> named;
  for (const auto& extension : extensions) {
    if (named.insert(extension.sequence).second) continue;
    throw InputError("sequence " + std::to_string(static_cast<int64_t>(extension.sequence)) +
                     " is named twice");
  }
}

}  // namespace weft
