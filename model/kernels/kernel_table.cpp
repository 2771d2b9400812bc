#include "model/kernels/kernel_table.h"

namespace weft::kernels {
namespace {

const KernelTable& best_table() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq")) {
    return table_avx512_bf16();
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return table_avx2();
#endif
  return table_generic();
}

}  // namespace

const KernelTable& kernel_table() {
  static const KernelTable& table = best_table();
  return table;
}

bool has_matrix_tiles() {
#ifdef __x86_64__
  __builtin_cpu_init();
  return __builtin_cpu_supports("amx-bf16");
#else
  return false;
#endif
}

}  // namespace weft::kernels
