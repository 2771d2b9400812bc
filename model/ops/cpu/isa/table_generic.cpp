#include "model/ops/cpu/isa/table.h"

namespace weft::kernels {

const KernelTable& table_generic() {
  static const KernelTable table = make_table("generic");
  return table;
}

}  // namespace weft::kernels
