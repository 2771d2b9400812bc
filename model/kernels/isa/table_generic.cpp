#include "model/kernels/isa/table.h"

namespace weft::kernels {

const KernelTable& table_generic() {
  static const KernelTable table = make_table();
  return table;
}

}  // namespace weft::kernels
