#include "sandbox/zygote/thread_stacks.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace {

constexpr size_t kLeastStack = 1 << 20;
size_t reserve = 0;

// Whether so much address space is left.
bool is_left(size_t bytes) {
  void* place = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return false;
  munmap(place, bytes);
  return true;
}

size_t affordable(size_t size) {
  while (size > kLeastStack && !is_left(size + reserve)) size = std::max(size / 2, kLeastStack);
  return size;
}

}  // namespace

namespace weft::zygote {

void limit_thread_stacks(int64_t memory_bytes) { reserve = static_cast<size_t>(memory_bytes) / 2; }

}  // namespace weft::zygote

/// In place of libc's, for Python and what it loads.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) {
  static const auto create =
      reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  size_t asked = 0;
  if (reserve == 0 || !attributes || pthread_attr_getstacksize(attributes, &asked) != 0 ||
      affordable(asked) == asked) {
    return create(thread, attributes, start, argument);
  }
  pthread_attr_t smaller;
  int detached = PTHREAD_CREATE_JOINABLE;
  pthread_attr_getdetachstate(attributes, &detached);
  pthread_attr_init(&smaller);
  pthread_attr_setdetachstate(&smaller, detached);
  pthread_attr_setstacksize(&smaller, affordable(asked));
  const int error = create(thread, &smaller, start, argument);
  pthread_attr_destroy(&smaller);
  return error;
}
