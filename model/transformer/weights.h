#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "model/transformer/transformer.h"

namespace weft {

/// A layer's flat buffer and the views into it; values are not set.
TransformerLayer allocate_layer(const TransformerConfig& config, at::ScalarType dtype);

/// The layer with its linear weights as int8. The others are copied, so that no view keeps the old
/// `flat`; the new one is undefined.
TransformerLayer rounded_layer(const TransformerLayer& layer);

/// The views of a layer whose weights `flat` holds, of the size that allocate_layer gives it.
TransformerLayer view_layer(const TransformerConfig& config, const at::Tensor& flat);

/// Adds the layer's weights under their Hugging Face names, fused ones split into views.
void append_hugging_face_views(const TransformerLayer& layer, const TransformerConfig& config,
                               int64_t index,
                               std::vector<std::pair<std::string, at::Tensor>>& views);

/// Ones for a norm, else normal with standard deviation `stddev`.
void fill_random(at::Tensor& tensor, bool is_norm, double stddev, Rng& rng);

}  // namespace weft
