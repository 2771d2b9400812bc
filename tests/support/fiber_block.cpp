#include "tests/support/fiber_block.h"

#include <stdexcept>
#include <utility>

namespace weft::test {
namespace {

constexpr size_t kStackBytes = 64 << 10;

float widened(uint32_t half) {
  const uint32_t bits = half << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// Element `i` of the pairs in a register.
float element(uint32_t pair, int i) { return widened(i == 0 ? pair & 0xffff : pair >> 16); }

}  // namespace

FiberBlock::FiberBlock(int threads) : fibers_(threads), warps_(threads / kWarp) {
  if (threads % kWarp != 0) throw std::logic_error("a block has whole warps");
  for (Fiber& fiber : fibers_) fiber.stack = std::make_unique<char[]>(kStackBytes);
}

void FiberBlock::run(std::array<int64_t, 3> grid, int64_t shared_bytes, const Body& body) {
  shared_.resize(shared_bytes);
  grid_ = grid;
  for (place_[2] = 0; place_[2] < grid[2]; ++place_[2]) {
    for (place_[1] = 0; place_[1] < grid[1]; ++place_[1]) {
      for (place_[0] = 0; place_[0] < grid[0]; ++place_[0]) run_block(body);
    }
  }
}

void FiberBlock::enter(uint32_t low, uint32_t high) {
  auto* self = reinterpret_cast<FiberBlock*>(static_cast<uintptr_t>(high) << 32 | low);
  Fiber& fiber = self->fibers_[self->current_];
  while (true) {
    try {
      (*self->body_)(*self);
    } catch (...) {
      self->thrown_ = std::current_exception();
    }
    fiber.done = true;
    if (_setjmp(fiber.place) == 0) _longjmp(self->scheduler_, 1);
  }
}

void FiberBlock::prepare(Fiber& fiber) {
  const auto self = reinterpret_cast<uintptr_t>(this);
  getcontext(&fiber.context);
  fiber.context.uc_stack = {fiber.stack.get(), 0, kStackBytes};
  makecontext(&fiber.context, reinterpret_cast<void (*)()>(&FiberBlock::enter), 2,
              static_cast<uint32_t>(self), static_cast<uint32_t>(self >> 32));
}

// Runs the fiber up to its next barrier or its end.
void FiberBlock::resume(Fiber& fiber) {
  if (_setjmp(scheduler_) != 0) return;
  if (fiber.started) _longjmp(fiber.place, 1);
  fiber.started = true;
  setcontext(&fiber.context);
}

void FiberBlock::run_block(const Body& body) {
  body_ = &body;
  block_barrier_ = {};
  shared_.begin_block();
  for (Warp& warp : warps_) warp.barrier = {};
  for (Fiber& fiber : fibers_) {
    fiber.done = false;
    fiber.barrier = nullptr;
    fiber.exchanges = 0;
    if (!fiber.started) prepare(fiber);
  }
  const bool descending = (place_[0] + place_[1] + place_[2]) % 2 != 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < size(); ++i) {
      current_ = descending ? size() - 1 - i : i;
      Fiber& fiber = fibers_[current_];
      if (fiber.done || (fiber.barrier && fiber.barrier->passed == fiber.passed)) continue;
      moved = true;
      resume(fiber);
      if (thrown_) abandon();
    }
  }
  const bool all_done =
      std::all_of(fibers_.begin(), fibers_.end(), [](const Fiber& fiber) { return fiber.done; });
  if (all_done) return;
  thrown_ = std::make_exception_ptr(std::logic_error("a barrier was not reached by all threads"));
  abandon();
}

// Leaves the fibers where they are, for ever, and throws.
void FiberBlock::abandon() {
  for (Fiber& fiber : fibers_) fiber.started = false;
  std::rethrow_exception(std::exchange(thrown_, nullptr));
}

void FiberBlock::wait(Barrier& barrier, int expected) {
  Fiber& fiber = fibers_[current_];
  if (++barrier.arrived == expected) {
    barrier.arrived = 0;
    ++barrier.passed;
    if (&barrier == &block_barrier_) shared_.pass_barrier();
    return;
  }
  fiber.barrier = &barrier;
  fiber.passed = barrier.passed;
  if (_setjmp(fiber.place) == 0) _longjmp(scheduler_, 1);
  fiber.barrier = nullptr;
}

const std::array<FiberBlock::Exchange, FiberBlock::kWarp>& FiberBlock::exchange(
    const Exchange& value) {
  Warp& warp = warps_[current_ / kWarp];
  auto& values = warp.values[fibers_[current_].exchanges++ % 2];
  values[current_ % kWarp] = value;
  wait(warp.barrier, kWarp);
  return values;
}

// Lane 4 g + q holds rows g and g + 8 of a, column g of b and c's columns 2 q and 2 q + 1.
void FiberBlock::mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const auto& lanes = exchange({a[0], a[1], a[2], a[3], b[0], b[1]});
  const int g = current_ % kWarp / 4, q = current_ % 4;
  for (int i = 0; i < 4; ++i) {
    const int half = i / 2, column = 2 * q + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int holder = k % 8 / 2;  // of this k among the four lanes
      const uint32_t left = lanes[4 * g + holder][half + 2 * (k / 8)];
      const uint32_t right = lanes[4 * column + holder][4 + k / 8];
      c[i] += element(left, k % 2) * element(right, k % 2);
    }
  }
}

}  // namespace weft::test
