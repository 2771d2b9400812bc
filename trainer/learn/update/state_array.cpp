#include "trainer/learn/update/state_array.h"

#include <ATen/ops/zeros.h>

#include "base/error.h"

namespace weft {
namespace {

int64_t num_blocks(int64_t count) { return (count + kQuantizationBlock - 1) / kQuantizationBlock; }

at::ScalarType dtype_of(StateForm form) {
  if (form == StateForm::kBf16) return at::kBFloat16;
  return form == StateForm::k8bit ? at::kByte : at::kFloat;
}

}  // namespace

int64_t state_bytes(StateForm form, int64_t count) {
  const int64_t scales = form == StateForm::k8bit ? 4 * num_blocks(count) : 0;
  return count * static_cast<int64_t>(c10::elementSize(dtype_of(form))) + scales;
}

StateArray::StateArray(at::IntArrayRef shape, StateForm form, const DeviceCodes& codes)
    : form_(form), codes_(codes) {
  const auto options = codes.numbers.options().dtype(dtype_of(form));
  values_ = at::zeros(shape, options);
  if (form != StateForm::k8bit) return;
  scales_ = at::zeros({num_blocks(values_.numel())}, options.dtype(at::kFloat));
  // The code of 0; that of a scale of 0 has no meaning.
  const DeviceCodes on_host(codes.book, at::kCPU);
  values_.fill_(quantize(at::zeros({1}, at::kFloat), on_host).codes.item<uint8_t>());
}

at::Tensor& StateArray::values() {
  WEFT_ASSERT(form_ == StateForm::kF32);
  return values_;
}

at::Tensor StateArray::read(int64_t first, int64_t count) const {
  const at::Tensor part = values_.flatten().narrow(0, first, count);
  if (form_ != StateForm::k8bit) return part.to(at::kFloat);
  const int64_t block = first / kQuantizationBlock;
  return dequantize({part, scales_.narrow(0, block, num_blocks(count))}, codes_);
}

void StateArray::write(int64_t first, const at::Tensor& values, const RoundingKey& key) {
  const at::Tensor part = values_.flatten().narrow(0, first, values.numel());
  switch (form_) {
    case StateForm::kF32:
      if (!part.is_alias_of(values)) part.copy_(values);
      return;
    case StateForm::kBf16:
      round_stochastically(values, part, key);
      return;
    case StateForm::k8bit:
      const QuantizedValues q = quantize(values, codes_);
      part.copy_(q.codes);
      scales_.narrow(0, first / kQuantizationBlock, q.scales.numel()).copy_(q.scales);
      return;
  }
}

std::vector<std::pair<std::string, at::Tensor>> StateArray::tensors(const std::string& name) const {
  if (!defined()) return {};
  std::vector<std::pair<std::string, at::Tensor>> result = {{name, values_}};
  if (scales_.defined()) result.emplace_back(name + "_scale", scales_);
  return result;
}

}  // namespace weft
