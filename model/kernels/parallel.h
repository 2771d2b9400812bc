/// Work sharing for items of unequal cost.
#pragma once

#include <ATen/Parallel.h>

#include <atomic>
#include <cstdint>

namespace weft::kernels {

/// Calls f(i) for i in [0, n) on LibTorch's threads, each taking the next item when it is free.
template <class F>
void parallel_items(int64_t n, const F& f) {
  std::atomic<int64_t> next{0};
  const int64_t threads = n > 1 ? at::get_num_threads() : 1;
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = next++; i < n; i = next++) f(i);
    }
  });
}

}  // namespace weft::kernels
