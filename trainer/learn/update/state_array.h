/// Values that an optimizer keeps between steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "trainer/learn/update/block_quantization.h"
#include "trainer/learn/update/stochastic_rounding.h"

namespace weft {

enum class StateForm {
  kF32,
  kBf16,  ///< rounded stochastically
  k8bit,  ///< block_quantization.h
};

/// Bytes of `count` values.
int64_t state_bytes(StateForm form, int64_t count);

/// Shaped as a parameter, zeros at first.
class StateArray {
 public:
  StateArray() = default;  ///< holds nothing
  /// On the device of `codes`, which only k8bit reads.
  StateArray(at::IntArrayRef shape, StateForm form, const DeviceCodes& codes);

  bool defined() const { return values_.defined(); }
  /// The values themselves, shaped as the parameter. Only of kF32.
  at::Tensor& values();

  /// Values [first, first + count) as f32. `first` is a multiple of kQuantizationBlock.
  at::Tensor read(int64_t first, int64_t count) const;
  /// Writes them back, [count] f32.
  void write(int64_t first, const at::Tensor& values, const RoundingKey& key);

  /// The tensors that hold it: `name`, and the scales of 8 bits as `name`_scale.
  std::vector<std::pair<std::string, at::Tensor>> tensors(const std::string& name) const;

 private:
  StateForm form_ = StateForm::kF32;
  DeviceCodes codes_;
  at::Tensor values_;  // f32, bf16 or codes, shaped as the parameter
  at::Tensor scales_;  // [blocks] f32; undefined but for 8 bits
};

}  // namespace weft
