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
  return of.reads(a.weight, a.dim).writes(a.y, size).all();
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
      .writes(a.partial, a.max_items * a.heads * (a.head_dim + 2))
      .writes(a.out, a.rows * width)
      .all();
}

std::vector<fake::Access> take_operands(GatherKv& a) {
  const int64_t size = a.tokens * a.kv_heads * a.head_dim;
  return Operands(a.dtype)
      .reads(a.cache)
      .reads(a.slots, a.tokens)
      .writes(a.k, size)
      .writes(a.v, size)
      .all();
}

std::vector<fake::Access> take_operands(SiluMul& a) {
  return Operands(a.dtype).reads(a.gate_up, 2 * a.rows * a.dim).writes(a.y, a.rows * a.dim).all();
}

std::vector<fake::Access> take_operands(SampleRows& a) {
  return Operands().reads(a.args, a.rows).writes(a.results, a.rows).all();
}

}  // namespace weft::test
