/// The shared memory of an emulated block of GPU threads, which finds accesses that no barrier puts
/// in order, on whatever schedule they happen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft::test {

/// Epochs are numbered by the block's barriers, from 0. Within one epoch a thread may not read or
/// write what another has written, nor write what another has read. Exchanges between the lanes of
/// a warp put nothing in order, as on a GPU. Updates are atomic: of one another they need no order.
/// Accesses are aligned to their size, at least 2 bytes.
///
/// Every access throws std::logic_error that names the word (4 bytes), the threads and the epoch
/// where that is broken, or where it reads what this block has not written, or lies outside.
class SharedMemory {
 public:
  void resize(int64_t bytes);

  /// What was written before is unknown from here on.
  void begin_block();
  void pass_barrier() { ++epoch_; }

  /// Note the access of `thread` and give the place.
  const char* read(int64_t byte, int64_t size, int thread);
  char* write(int64_t byte, int64_t size, int thread);
  char* update(int64_t byte, int64_t size, int thread);

 private:
  // Threads that did one thing to a unit in the epoch, two of them: one differs from any third.
  struct Threads {
    uint64_t epoch = 0;
    int first = -1, second = -1;

    void note(uint64_t now, int thread);
    int other_than(uint64_t now, int thread) const;  // or -1
  };
  struct Unit {
    Threads readers, writers, updaters;
    uint64_t written_in = 0;  // epoch of the last write
  };
  void check_place(const char* what, int64_t byte, int64_t size, int thread) const;
  void check(const Threads& others, const char* what, const char* they, int64_t byte,
             int thread) const;
  void check_written(const char* what, int64_t byte, int thread) const;
  [[noreturn]] void fail(const char* what, int64_t byte, int thread, const std::string& why) const;

  static constexpr int64_t kUnit = 2;  // bytes
  std::vector<char> bytes_;
  std::vector<Unit> units_;
  uint64_t epoch_ = 1, first_epoch_ = 1;  // counted through all blocks; of this one
};

}  // namespace weft::test
