#include "tests/support/shared_memory.h"

#include <stdexcept>

namespace weft::test {

void SharedMemory::Threads::note(uint64_t now, int thread) {
  if (epoch != now) *this = {now, thread, -1};
  if (thread != first) second = thread;
}

int SharedMemory::Threads::other_than(uint64_t now, int thread) const {
  if (epoch != now) return -1;
  return first != thread ? first : second;
}

void SharedMemory::resize(int64_t bytes) {
  bytes_.resize(static_cast<size_t>(bytes));
  units_.resize(static_cast<size_t>((bytes + kUnit - 1) / kUnit));
}

void SharedMemory::begin_block() { first_epoch_ = ++epoch_; }

void SharedMemory::fail(const char* what, int64_t byte, int thread, const std::string& why) const {
  throw std::logic_error("shared memory, word " + std::to_string(byte / 4) + ": thread " +
                         std::to_string(thread) + " " + what + " it in epoch " +
                         std::to_string(epoch_ - first_epoch_) + ", " + why);
}

void SharedMemory::check_place(const char* what, int64_t byte, int64_t size, int thread) const {
  const auto end = static_cast<int64_t>(bytes_.size());
  if (byte < 0 || byte + size > end) {
    fail(what, byte, thread, "beyond the block's " + std::to_string(end) + " bytes");
  }
  if (byte % size != 0 || size % kUnit != 0) {
    fail(what, byte, thread, "unaligned for " + std::to_string(size) + " bytes");
  }
}

void SharedMemory::check(const Threads& others, const char* what, const char* they, int64_t byte,
                         int thread) const {
  const int other = others.other_than(epoch_, thread);
  if (other >= 0) {
    fail(what, byte, thread,
         "in which thread " + std::to_string(other) + " " + they + " it: no barrier between");
  }
}

void SharedMemory::check_written(const char* what, int64_t byte, int thread) const {
  if (units_[byte / kUnit].written_in < first_epoch_) {
    fail(what, byte, thread, "before any thread of the block has written it");
  }
}

const char* SharedMemory::read(int64_t byte, int64_t size, int thread) {
  check_place("reads", byte, size, thread);
  for (int64_t b = byte; b < byte + size; b += kUnit) {
    Unit& unit = units_[b / kUnit];
    check_written("reads", b, thread);
    check(unit.writers, "reads", "wrote", b, thread);
    check(unit.updaters, "reads", "updated", b, thread);
    unit.readers.note(epoch_, thread);
  }
  return bytes_.data() + byte;
}

char* SharedMemory::write(int64_t byte, int64_t size, int thread) {
  check_place("writes", byte, size, thread);
  for (int64_t b = byte; b < byte + size; b += kUnit) {
    Unit& unit = units_[b / kUnit];
    check(unit.writers, "writes", "wrote", b, thread);
    check(unit.updaters, "writes", "updated", b, thread);
    check(unit.readers, "writes", "read", b, thread);
    unit.writers.note(epoch_, thread);
    unit.written_in = epoch_;
  }
  return bytes_.data() + byte;
}

char* SharedMemory::update(int64_t byte, int64_t size, int thread) {
  check_place("updates", byte, size, thread);
  for (int64_t b = byte; b < byte + size; b += kUnit) {
    Unit& unit = units_[b / kUnit];
    check_written("updates", b, thread);
    check(unit.writers, "updates", "wrote", b, thread);
    check(unit.readers, "updates", "read", b, thread);
    unit.updaters.note(epoch_, thread);
  }
  return bytes_.data() + byte;
}

}  // namespace weft::test
