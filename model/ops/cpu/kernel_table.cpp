#include "model/ops/cpu/kernel_table.h"

#ifdef __x86_64__
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace weft::kernels {
namespace {

#ifdef __x86_64__
bool has_avx512_bf16() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
}

// Tiles are large: Linux lets a process use them that has asked
// (Documentation/arch/x86/xstate.rst).
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

const KernelTable& best_table() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (has_avx512_bf16()) return may_use_tiles() ? table_amx() : table_avx512_bf16();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return table_avx2();
#endif
  return table_generic();
}

}  // namespace

const KernelTable& kernel_table() {
  static const KernelTable& table = best_table();
  return table;
}

}  // namespace weft::kernels
