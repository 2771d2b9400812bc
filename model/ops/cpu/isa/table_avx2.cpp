#include "model/ops/cpu/isa/table.h"

namespace weft::kernels {

const KernelTable& table_avx2() {
  static const KernelTable table = make_table("avx2");
  return table;
}

}  // namespace weft::kernels
