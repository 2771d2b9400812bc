#include "tests/support/kernel_operands.h"

namespace weft::test {
namespace {

using namespace cuda;

class Operands {
 public:
  explicit Operands(Dtype dtype = Dtype::kF32) : size_(dtype == Dtype::kF32 ? 4 : 2) {}

  /// `count` elements of the kernel's dtype behind a void*, else of the pointer's own type.
  template <class T>
  Operands& reads(T*& address, int64_t count) {
    return take(address, count * element_size<T>(), false);
  }
  template <class T>
  Operands& writes(T*& address, int64_t count) {
    return take(address, count * element_size<T>(), true);
  }
  /// The rest of the storage.
  template <class T>
  Operands& reads(T*& address) {
    return take(address, rest(address), false);
  }
  template <class T>
  Operands& writes(T*& address) {
    return take(address, rest(address), true);
  }

  std::vector<fake::Access> all() { return std::move(accesses_); }

 private:
  template <class T>
  int64_t element_size() const {
    if constexpr (std::is_void_v<std::remove_const_t<T>>) {
      return size_;
    } else {
      return sizeof(T);
    }
  }
  static int64_t rest(const void* address) {
    return static_cast<int64_t>(fake::FakeGpu::get().bytes_from(address));
  }
  template <class T>
  Operands& take(T*& address, int64_t bytes, bool writes) {
    T* on_host = fake::shadow(address);
    if (bytes > 0 && address) {
      accesses_.push_back({address, static_cast<size_t>(bytes), writes});
    }
    address = on_host;
    return *this;
  }

  int64_t size_;
  std::vector<fake::Access> accesses_;
};

}  // namespace

std::vector<fake::Access> take_operands(AddRmsNorm& a) {
  const int64_t size = a.rows * a.dim;
  Operands of(a.dtype);
  if (a.delta) {
    of.writes(a.x, size).reads(a.delta, size);
  } else {
    of.reads(a.x, size);
  }
  return of.reads(a.weight, a.dim).writes(a.y, size).writes(a.rstd, a.rows).all();
}

std::vector<fake::Access> take_operands(RopeStore& a) {
  return Operands(a.dtype)
      .writes(a.qkv, a.rows * (a.heads + 2 * a.kv_heads) * a.head_dim)
      .reads(a.q_norm, a.head_dim)
      .reads(a.k_norm, a.head_dim)
      .reads(a.rope_table)
      .reads(a.positions, a.rows)
      .reads(a.slots, a.rows)
      .writes(a.cache)
      .all();
}

std::vector<fake::Access> take_operands(PagedAttention& a) {
  const int64_t width = a.heads * a.head_dim;
  return Operands(a.dtype)
      .reads(a.q, (a.rows - 1) * a.q_stride + width)
      .reads(a.cache)
      .reads(a.block_list)
      .reads(a.first_block, a.rows)
      .reads(a.lengths, a.rows)
      .reads(a.items, a.max_items)
      .reads(a.num_items, 1)
      .reads(a.first_slot, a.rows + 1)
      .reads(a.tiles, a.num_tiles)
      .reads(a.lse, a.lse ? a.heads * a.rows : 0)
      .writes(a.partial, a.slots * a.heads * (a.head_dim + 2))
      .writes(a.out, a.rows * width)
      .all();
}

std::vector<fake::Access> take_operands(SiluMul& a) {
  return Operands(a.dtype).reads(a.gate_up, 2 * a.rows * a.dim).writes(a.y, a.rows * a.dim).all();
}

std::vector<fake::Access> take_operands(SampleRows& a) {
  return Operands().reads(a.args, a.rows).writes(a.results, a.rows).all();
}

std::vector<fake::Access> take_operands(TakeIds& a) {
  return Operands().writes(a.ids, a.rows).reads(a.of_draw, a.rows).reads(a.results).all();
}

std::vector<fake::Access> take_operands(BatchedLora& a) {
  return Operands(a.dtype)
      .reads(a.x, a.rows * a.in)
      .writes(a.y, a.rows * a.out)
      .reads(a.tiles, a.rows)
      .reads(a.num_tiles, 1)
      .reads(a.weights)
      .writes(a.partial, a.rows * lora_chunks(a.in) * a.max_rank)
      .all();
}

std::vector<fake::Access> take_operands(RmsNormBackward& a) {
  const int64_t size = a.rows * a.dim;
  return Operands(a.dtype)
      .reads(a.g_y, size)
      .reads(a.x, size)
      .reads(a.weight, a.dim)
      .reads(a.rstd, a.rows)
      .writes(a.g_x, size)
      .writes(a.g_weight, kNormShares * a.dim)
      .all();
}

std::vector<fake::Access> take_operands(SiluMulBackward& a) {
  const int64_t size = a.rows * a.dim;
  return Operands(a.dtype)
      .reads(a.g_y, size)
      .reads(a.gate_up, 2 * size)
      .writes(a.g_gate_up, 2 * size)
      .all();
}

std::vector<fake::Access> take_operands(RotateRows& a) {
  return Operands(a.dtype)
      .writes(a.x, a.rows * a.row_size)
      .reads(a.rope_table)
      .reads(a.positions, a.rows)
      .all();
}

namespace {

void add_forward(Operands& of, PackedAttention& a, bool backward) {
  const int64_t width = a.heads * a.head_dim;
  of.reads(a.qkv, a.rows * (width + 2 * a.kv_heads * a.head_dim))
      .reads(a.sees.first, a.rows)
      .reads(a.sees.prompt_first, a.rows)
      .reads(a.sees.prompt_last, a.rows)
      .reads(a.sees.last, a.rows)
      .reads(a.sees.readers_first, a.rows)
      .reads(a.sees.readers_last, a.rows)
      .reads(a.sees.readers);
  if (backward) {
    of.reads(a.out, a.rows * width).reads(a.lse, a.rows * a.heads);
  } else {
    of.writes(a.out, a.rows * width).writes(a.lse, a.rows * a.heads);
  }
}

}  // namespace

std::vector<fake::Access> take_operands(PackedAttention& a) {
  Operands of(a.dtype);
  add_forward(of, a, false);
  return of.all();
}

std::vector<fake::Access> take_operands(PackedAttentionBackward& a) {
  PackedAttention& f = a.forward;
  const int64_t width = f.heads * f.head_dim;
  Operands of(f.dtype);
  add_forward(of, f, true);
  return of.reads(a.g_out, f.rows * width)
      .writes(a.delta, f.rows * f.heads)
      .writes(a.g_qkv, f.rows * (width + 2 * f.kv_heads * f.head_dim))
      .all();
}

std::vector<fake::Access> take_operands(LossRows& a) {
  return Operands()
      .reads(a.logits, a.rows * a.size)
      .reads(a.targets, a.rows)
      .writes(a.lse, a.rows)
      .writes(a.logp, a.rows)
      .all();
}

std::vector<fake::Access> take_operands(LogitGradient& a) {
  return Operands(a.dtype)
      .reads(a.logits, a.rows * a.size)
      .reads(a.targets, a.rows)
      .reads(a.lse, a.rows)
      .reads(a.coefficients, a.rows)
      .writes(a.gradient, a.rows * a.size)
      .writes(a.entropy, a.rows)
      .all();
}

}  // namespace weft::test
