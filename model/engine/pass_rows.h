/// The spans of a pass side by side, as the decoder reads them.
#pragma once

#include <cstdint>
#include <vector>

#include "model/engine/paged_forward.h"
#include "model/ops/cpu/attention.h"
#include "model/transformer/decoder_layer.h"

namespace weft {

struct PassRows {
  std::vector<int32_t> ids;               ///< [rows]
  std::vector<int32_t> of_draw;           ///< [rows] PassSpan::of_draw
  std::vector<kernels::PagedSpan> spans;  ///< block tables are those of the spans
  std::vector<int64_t> wanted;            ///< rows whose logits are
  std::vector<AdapterRows> adapters;

  explicit PassRows(const std::vector<PassSpan>& spans);
  int64_t num_rows() const { return static_cast<int64_t>(ids.size()); }
};

}  // namespace weft
