/// A block of GPU threads as fibers of one CPU thread: it runs the bodies of model/ops/cuda as
/// the GPU does, barrier by barrier, on any machine.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "tests/support/shared_memory.h"

namespace weft::test {

/// The Block of model/ops/cuda/simt.h. Fibers take turns in ascending order in even blocks of
/// the grid and in descending order in odd ones; what they do to shared memory is checked.
class FiberBlock {
 public:
  using Body = std::function<void(FiberBlock&)>;

  /// A pointer into shared memory whose every access is checked (see SharedMemory).
  template <class T>
  class Shared {
   public:
    class Place {
     public:
      operator T() const { return block_.template read_shared<T>(byte_); }
      const Place& operator=(T value) const {
        block_.write_shared(byte_, value);
        return *this;
      }
      const Place& operator=(const Place& other) const { return *this = static_cast<T>(other); }
      const Place& operator+=(T value) const { return *this = *this + value; }

     private:
      friend class Shared;
      Place(FiberBlock& block, int64_t byte) : block_(block), byte_(byte) {}
      FiberBlock& block_;
      const int64_t byte_;
    };

    Place operator[](int64_t i) const { return {block_, byte_ + i * int64_t{sizeof(T)}}; }
    Shared operator+(int64_t i) const { return {block_, byte_ + i * int64_t{sizeof(T)}}; }

   private:
    friend class FiberBlock;
    Shared(FiberBlock& block, int64_t byte) : block_(block), byte_(byte) {}
    FiberBlock& block_;
    int64_t byte_;
  };

  /// `threads` is a multiple of 32.
  explicit FiberBlock(int threads);
  FiberBlock(const FiberBlock&) = delete;
  FiberBlock& operator=(const FiberBlock&) = delete;

  /// Runs the body with every thread of every block of the grid, one block after the other, each
  /// with `shared_bytes` of its own. std::logic_error if some threads wait at a barrier that the
  /// others never reach, or what SharedMemory throws; the body's own exceptions go through.
  void run(std::array<int64_t, 3> grid, int64_t shared_bytes, const Body& body);

  int thread() const { return current_; }
  int size() const { return static_cast<int>(fibers_.size()); }
  int64_t x() const { return place_[0]; }
  int64_t y() const { return place_[1]; }
  int64_t grid_x() const { return grid_[0]; }
  template <class T>
  Shared<T> shared(int64_t byte) {
    return {*this, byte};
  }
  uint32_t add_shared(Shared<uint32_t> p, uint32_t value) {
    return update_shared(p, [value](uint32_t before) { return before + value; });
  }
  void max_shared(Shared<uint32_t> p, uint32_t value) {
    update_shared(p, [value](uint32_t before) { return std::max(before, value); });
  }
  float load(const float* p) {
    ++loads_;
    return *p;
  }
  /// Calls of load() by all threads since the object was made.
  int64_t loads() const { return loads_; }
  void sync() { wait(block_barrier_, size()); }

  template <class T>
  T shuffle(T value, int lane) {
    static_assert(sizeof(T) <= sizeof(Exchange));
    return bit_copy<T>(exchange(bit_copy<Exchange>(value))[lane]);
  }
  void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

 private:
  static constexpr int kWarp = 32;
  using Exchange = std::array<uint32_t, 6>;
  struct Barrier {
    int arrived = 0;
    uint64_t passed = 0;
  };
  struct Fiber {
    ucontext_t context;  // of its first step; all others jump, which makes no system calls
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    bool started = false;
    const Barrier* barrier = nullptr;  // that it waits at
    uint64_t passed = 0;               // of it, when the wait began
    int exchanges = 0;
    bool done = true;
  };
  struct Warp {
    Barrier barrier;
    std::array<Exchange, kWarp> values[2];  // in turn: no lane is two exchanges ahead of another
  };

  template <class T>
  T read_shared(int64_t byte) {
    T value;
    std::memcpy(&value, shared_.read(byte, sizeof(T), current_), sizeof(T));
    return value;
  }
  template <class T>
  void write_shared(int64_t byte, T value) {
    std::memcpy(shared_.write(byte, sizeof(T), current_), &value, sizeof(T));
  }
  template <class F>
  uint32_t update_shared(Shared<uint32_t> p, F f) {
    uint32_t before;
    char* place = shared_.update(p.byte_, sizeof before, current_);
    std::memcpy(&before, place, sizeof before);
    const uint32_t after = f(before);
    std::memcpy(place, &after, sizeof after);
    return before;
  }
  template <class To, class From>
  static To bit_copy(const From& from) {
    To to{};
    std::memcpy(&to, &from, std::min(sizeof to, sizeof from));
    return to;
  }
  const std::array<Exchange, kWarp>& exchange(const Exchange& value);
  void wait(Barrier& barrier, int expected);
  void run_block(const Body& body);
  void abandon();
  void prepare(Fiber& fiber);
  void resume(Fiber& fiber);
  static void enter(uint32_t low, uint32_t high);

  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  SharedMemory shared_;
  Barrier block_barrier_;
  std::array<int64_t, 3> place_{}, grid_{};
  jmp_buf scheduler_;
  const Body* body_ = nullptr;
  int current_ = 0;
  int64_t loads_ = 0;
  std::exception_ptr thrown_;
};

}  // namespace weft::test
