#include "model/ops/cpu/isa/table.h"

namespace weft::kernels {

const KernelTable& table_avx512_bf16() {
  static const KernelTable table = make_table("avx512_bf16");
  return table;
}

}  // namespace weft::kernels
