#include "model/ops/queued_copy.h"

namespace weft::ops {

at::Tensor queued_copy(const at::Tensor& host, at::Device device) {
  if (device.is_cpu()) return host;
  return host.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace weft::ops
