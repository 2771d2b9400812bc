#include "model/kernels/isa/attend_tiles.h"
#include "model/kernels/isa/gemm_tiles.h"

namespace weft::kernels {

const KernelTable& table_amx() {
  static const KernelTable table = [] {
    KernelTable copy = table_avx512_bf16();
    copy.bf16.attend = attend_tiles;
    copy.pack_rows = pack_rows;
    copy.gemm = gemm_tiles;
    return copy;
  }();
  return table;
}

}  // namespace weft::kernels
