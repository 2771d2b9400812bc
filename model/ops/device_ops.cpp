#include "model/ops/device_ops.h"

#include <array>
#include <atomic>

#include "base/error.h"

namespace weft::ops {
namespace {

using Table = std::array<std::atomic<const DeviceOps*>,
                         static_cast<size_t>(at::DeviceType::COMPILE_TIME_MAX_DEVICE_TYPES)>;

// Filled once for each kind of device, as LibTorch's own table of operators is.
std::atomic<const DeviceOps*>& entry(at::DeviceType type) {
  static Table table{};
  return table[static_cast<size_t>(type)];
}

}  // namespace

void DeviceOps::refuse(const char* operation) const {
  throw Error(std::string(operation) + " has no form on the device " + device());
}

at::Tensor DeviceOps::take_rows(const at::Tensor&, const at::Tensor&) const { refuse("take_rows"); }

at::Tensor DeviceOps::linear(const at::Tensor&, const at::Tensor&, const at::Tensor&) const {
  refuse("linear");
}

void DeviceOps::add_linear(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                           const at::Tensor&) const {
  refuse("add_linear");
}

at::Tensor DeviceOps::linear_f32(const at::Tensor&, const at::Tensor&, const at::Tensor&) const {
  refuse("linear_f32");
}

at::Tensor DeviceOps::add_rms_norm(const at::Tensor&, const at::Tensor&, const at::Tensor&, double,
                                   const at::Tensor&) const {
  refuse("add_rms_norm");
}

std::pair<at::Tensor, at::Tensor> DeviceOps::rms_norm_backward(const at::Tensor&, const at::Tensor&,
                                                               const at::Tensor&, const at::Tensor&,
                                                               bool) const {
  refuse("rms_norm_backward");
}

at::Tensor DeviceOps::silu_mul(const at::Tensor&) const { refuse("silu_mul"); }

at::Tensor DeviceOps::silu_mul_backward(const at::Tensor&, const at::Tensor&) const {
  refuse("silu_mul_backward");
}

PackedPlanPtr DeviceOps::plan_packed(const PackedBatch&, at::Device) const {
  refuse("plan_packed");
}

RotaryAttentionResult DeviceOps::rotary_attention(const at::Tensor&, const PackedPlan&,
                                                  const at::Tensor&,
                                                  const kernels::HeadShape&) const {
  refuse("rotary_attention");
}

at::Tensor DeviceOps::rotary_attention_backward(const at::Tensor&, const RotaryAttentionResult&,
                                                const PackedPlan&, const at::Tensor&,
                                                const kernels::HeadShape&) const {
  refuse("rotary_attention_backward");
}

at::Tensor DeviceOps::token_logprobs(const at::Tensor&, const at::Tensor&) const {
  refuse("token_logprobs");
}

LossRows DeviceOps::loss_rows(const at::Tensor&, const at::Tensor&, double) const {
  refuse("loss_rows");
}

at::Tensor DeviceOps::logit_gradient(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                     const at::Tensor&, double, at::ScalarType,
                                     const at::Tensor&) const {
  refuse("logit_gradient");
}

const DeviceOps& forms_for(at::Device device) {
  if (device.is_cpu()) return cpu_forms();
  const DeviceOps* forms = entry(device.type());
  if (!forms) throw Error("no operations for the device " + device.str());
  return *forms;
}

const DeviceOps& forms_for(const at::Tensor& t) { return forms_for(t.device()); }

void install_forms(at::DeviceType type, const DeviceOps& forms) {
  WEFT_ASSERT(type != at::kCPU);
  const DeviceOps* before = nullptr;
  const bool first = entry(type).compare_exchange_strong(before, &forms);
  WEFT_ASSERT(first || before == &forms);
}

}  // namespace weft::ops
