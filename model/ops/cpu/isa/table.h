/// Fills a KernelTable with the loops as this translation unit's flags compile them.
#pragma once

#include "model/ops/cpu/isa/attend.h"
#include "model/ops/cpu/isa/attend_grad.h"
#include "model/ops/cpu/isa/gemm.h"
#include "model/ops/cpu/isa/gemm_int8.h"
#include "model/ops/cpu/isa/gemm_narrow.h"
#include "model/ops/cpu/isa/rows.h"
#include "model/ops/cpu/isa/sample.h"

namespace weft::kernels {
namespace {

template <class T>
RowKernels<T> make_row_kernels() {
  return {rms_norm<T>,
          rms_norm_backward<T>,
          silu_mul<T>,
          silu_mul_backward<T>,
          rope<T>,
          store_kv<T>,
          dot<T>,
          sum_of_squares<T>,
          narrow<T>,
          round_row<T>,
          attend<T>,
          attend_query_grad<T>,
          attend_key_grad<T>,
          multiply_rows<T>,
          nullptr};
}

#ifdef __AVX512BF16__
constexpr bool kHasBf16Products = true;
#else
constexpr bool kHasBf16Products = false;
#endif

KernelTable make_table(const char* name) {
  return {name,
          kHasBf16Products,
          make_row_kernels<float>(),
          make_row_kernels<Bf16>(),
          gemm_int8,
          log_sum_exp,
          logprob,
          scaled_softmax,
          sample};
}

}  // namespace
}  // namespace weft::kernels
