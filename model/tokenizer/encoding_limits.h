/// `truncation` and `padding` of a tokenizer.json: lengths that its ids are cut or filled to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

struct EncodingLimits {
  enum class Side { kLeft, kRight };

  std::optional<int64_t> max_length;  ///< of ids, those of the post-processor included
  Side truncated = Side::kRight;      ///< where ids are cut off
  bool pads = false;
  int64_t padded_length = 0;  ///< at least so many ids
  int64_t multiple_of = 1;    ///< and a multiple of this
  int32_t pad_id = 0;
  Side padded = Side::kRight;

  /// Either part may be null. Throws InputError naming a field of another form, a strategy for
  /// pairs of texts, and a max_length that does not hold the `num_added` ids of the post-processor.
  static EncodingLimits from_json(const Json& truncation, const Json& padding, int64_t num_added,
                                  const std::string& where);

  /// Cuts and fills `ids`, whose first `num_prefix` and last `num_suffix` are kept whole.
  std::vector<int32_t> applied(std::vector<int32_t> ids, int64_t num_prefix,
                               int64_t num_suffix) const;
};

}  // namespace weft
