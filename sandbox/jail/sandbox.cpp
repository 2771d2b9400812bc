#include "sandbox/jail/sandbox.h"

#include <chrono>

#include "sandbox/jail/self_test.h"
#include "sandbox/jail/slot_pool.h"

namespace weft {

Sandbox::Sandbox(SandboxOptions options) : options_(std::move(options)) {
  slots_ = std::make_unique<SlotPool>(options_);
  auto lease = slots_->acquire(SlotPool::Use::kCandidate);
  const auto start = std::chrono::steady_clock::now();
  self_test(lease.zygote(), tier());
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  self_test_ms_ = took.count();
  slots_->set_time_scale(measure_time_scale(lease.zygote()));
  // One that cannot start is found now.
  if (slots_->packages().numpy) lease.choose(Flavour::kNumpy);
  if (slots_->packages().sympy) lease.choose(Flavour::kSympy);
}

Sandbox::~Sandbox() = default;

std::string Sandbox::tier() const { return slots_->tier(); }

std::string Sandbox::description() const {
  std::string locks = slots_->description().substr(2);  // "landlock=7 seccomp"
  for (const auto& [from, to] :
       {std::pair{"landlock=0", "no landlock"}, {"=", " "}, {" s", ", s"}}) {
    if (const size_t at = locks.find(from); at != std::string::npos) {
      locks.replace(at, std::char_traits<char>::length(from), to);
    }
  }
  return "tier " + tier() + ", " + locks + ", no memory cgroup";
}

void check_sandbox(SandboxOptions options, StartCheck& check) {
  options.num_slots = 1;
  check.without_error([&] { Sandbox sandbox(options); });
}

double Sandbox::time_scale() const { return slots_->time_scale(); }

}  // namespace weft
