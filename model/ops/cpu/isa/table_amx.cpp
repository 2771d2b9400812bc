#include "model/ops/cpu/isa/attend_tiles.h"
#include "model/ops/cpu/isa/gemm_tiles.h"

namespace weft::kernels {

const KernelTable& table_amx() {
  static const KernelTable table = [] {
    KernelTable copy = table_avx512_bf16();
    copy.bf16.attend = attend_tiles;
    copy.name = "amx_bf16";
    copy.bf16.gemm = gemm_tiles;
    copy.bf16.pack_rows = pack_rows;
    return copy;
  }();
  return table;
}

}  // namespace weft::kernels
