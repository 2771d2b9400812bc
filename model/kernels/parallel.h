/// Work sharing for items of unequal cost.
#pragma once

#include <ATen/Parallel.h>
#include <omp.h>

#include <atomic>
#include <cstdint>

namespace weft::kernels {

/// Ends the helpers that OpenMP keeps for the calling thread; its next parallel loop starts new
/// ones. libgomp counts the helpers of all threads: once they are more than the processors, those
/// that wait go to sleep at once, and a short loop costs more in waking them than in arithmetic. So
/// a thread that lets another compute calls this first. Nothing happens inside a parallel loop.
inline void release_helpers() { omp_pause_resource_all(omp_pause_soft); }

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
