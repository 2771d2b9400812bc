/// What each kind of device brings to the operations of ops.h.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <string>
#include <utility>

#include "model/ops/cpu/attention.h"
#include "model/ops/packed_batch.h"

namespace weft::ops {

/// A packed batch as the attention of a device reads it.
class PackedPlan : public torch::CustomClassHolder {
 public:
  explicit PackedPlan(const PackedBatch& packed) : batch(packed) {}
  const PackedBatch batch;
};
using PackedPlanPtr = c10::intrusive_ptr<PackedPlan>;

/// Rotary attention with what its backward pass reads.
struct RotaryAttentionResult {
  at::Tensor out;      ///< [T, heads dim]
  at::Tensor rotated;  ///< qkv with queries and keys rotated
  at::Tensor lse;      ///< f32, one number of each row and head, laid out as the device likes
};

/// Of rows of logits.
struct LossRows {
  at::Tensor lse;   ///< [n] f32, log sum exp(logits / temperature)
  at::Tensor logp;  ///< [n] f32, nats, of the targets
};

/// The operations in the form of one kind of device. Contracts are those of ops.h; none records a
/// gradient. Tensors are contiguous and on that device. An operation that a device has no form of
/// throws Error with its name and the device's.
class DeviceOps {
 public:
  virtual ~DeviceOps() = default;
  virtual std::string device() const = 0;  ///< "cpu", "cuda"

  virtual at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows) const;
  virtual at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) const;
  /// out = y + x w^T; `out` may be `y`.
  virtual void add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w,
                          const at::Tensor& out) const;
  /// `out` may be undefined.
  virtual at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w,
                                const at::Tensor& out) const;

  /// Writes 1 / rms of the rows to `rstd` [rows] f32 where that is given.
  virtual at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w,
                                  double eps, const at::Tensor& rstd) const;
  virtual std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& gy,
                                                              const at::Tensor& x,
                                                              const at::Tensor& w,
                                                              const at::Tensor& rstd,
                                                              bool want_gw) const;
  virtual at::Tensor silu_mul(const at::Tensor& gate_up) const;
  virtual at::Tensor silu_mul_backward(const at::Tensor& gy, const at::Tensor& gate_up) const;

  /// Does not keep `batch` itself.
  virtual PackedPlanPtr plan_packed(const PackedBatch& batch, at::Device device) const;
  virtual RotaryAttentionResult rotary_attention(const at::Tensor& qkv, const PackedPlan& plan,
                                                 const at::Tensor& rope_table,
                                                 const kernels::HeadShape& shape) const;
  virtual at::Tensor rotary_attention_backward(const at::Tensor& g_out,
                                               const RotaryAttentionResult& forward,
                                               const PackedPlan& plan, const at::Tensor& rope_table,
                                               const kernels::HeadShape& shape) const;

  virtual at::Tensor token_logprobs(const at::Tensor& logits, const at::Tensor& targets) const;
  virtual LossRows loss_rows(const at::Tensor& logits, const at::Tensor& targets,
                             double temperature) const;
  virtual at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& targets,
                                    const at::Tensor& lse, const at::Tensor& coefficients,
                                    double temperature, at::ScalarType dtype,
                                    const at::Tensor& entropy) const;

 protected:
  [[noreturn]] void refuse(const char* operation) const;
};

/// The forms of the device that `t` lies on. Throws Error for a device without any.
const DeviceOps& forms_for(const at::Tensor& t);
const DeviceOps& forms_for(at::Device device);

/// Makes `forms`, which live as long as the process, those of a kind of device other than the CPU.
/// Any thread; std::logic_error if the kind has others already.
void install_forms(at::DeviceType type, const DeviceOps& forms);

/// The CPU's, which are always there.
const DeviceOps& cpu_forms();

}  // namespace weft::ops
