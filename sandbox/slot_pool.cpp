#include "sandbox/slot_pool.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"

namespace weft {
namespace {

constexpr const char* kCandidateModules =
    "math,cmath,re,string,collections,itertools,functools,operator,heapq,bisect,random,typing,copy,"
    "datetime,json,enum,dataclasses,threading,ast";
constexpr const char* kWorkflowModules =
    "math,re,string,collections,itertools,functools,heapq,random,typing,json,statistics,asyncio,"
    "threading,ast";

std::string find_zygote(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  std::error_code error;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& path : {here / "weft_zygote", here / "../libexec/weft_zygote"}) {
    if (std::filesystem::exists(path, error)) return path.lexically_normal().string();
  }
  throw InputError("sandbox: no weft_zygote beside the program (" + here.string() +
                   ") or in ../libexec; set zygote_path");
}

void validate(const SandboxOptions& options) {
  if (options.num_slots < 1) {
    throw InputError("sandbox: num_slots expects at least 1, got " +
                     std::to_string(options.num_slots));
  }
  if (options.min_tier != "A" && options.min_tier != "B") {
    throw InputError("sandbox: min_tier expects \"A\" or \"B\", got \"" + options.min_tier + "\"");
  }
  if (options.min_tier == "A" && !options.use_user_namespaces) {
    throw InputError("sandbox: min_tier \"A\" needs use_user_namespaces");
  }
}

}  // namespace

struct SlotPool::Lease::Slot {
  std::unique_ptr<ZygoteProcess> zygote;
  bool busy = false;
};

struct SlotPool::Group {
  std::vector<std::unique_ptr<Lease::Slot>> slots;
};

SlotPool::SlotPool(const SandboxOptions& options) : num_slots_(options.num_slots) {
  validate(options);
  path_ = find_zygote(options.zygote_path);
  for (auto& group : groups_) group = std::make_unique<Group>();
  tier_ = options.use_user_namespaces ? "A" : "B";
  try {
    start_candidates(num_slots_);
  } catch (const Error&) {
    if (tier_ == "B" || options.min_tier == "A" || geteuid() != 0) throw;
    tier_ = "B";
    start_candidates(num_slots_);
  }
}

SlotPool::~SlotPool() = default;

ZygoteOptions SlotPool::zygote_options(bool workflows) const {
  return {path_, tier_, workflows ? kWorkflowModules : kCandidateModules, workflows};
}

void SlotPool::start_candidates(int num_slots) {
  auto& slots = groups_[static_cast<int>(Use::kCandidate)]->slots;
  slots.clear();
  for (int i = 0; i < num_slots; ++i) {
    slots.push_back(std::make_unique<Lease::Slot>());
    slots.back()->zygote = std::make_unique<ZygoteProcess>(zygote_options(false));
  }
  for (auto& slot : slots) slot->zygote->wait_ready();
}

SlotPool::Lease SlotPool::acquire(Use use) {
  Lease::Slot* taken = nullptr;
  {
    std::unique_lock lock(mutex_);
    auto& slots = groups_[static_cast<int>(use)]->slots;
    if (use == Use::kChecker && slots.empty()) {
      for (int i = 0; i < num_slots_; ++i) slots.push_back(std::make_unique<Lease::Slot>());
    }
    const auto is_free = [](const auto& slot) { return !slot->busy; };
    auto found = slots.end();
    freed_.wait(lock, [&] {
      found = std::find_if(slots.begin(), slots.end(), is_free);
      return found != slots.end();
    });
    taken = found->get();
    taken->busy = true;
  }
  Lease lease(this, taken);
  if (!taken->zygote) lease.rebuild();
  return lease;
}

SlotPool::Lease::~Lease() {
  if (!pool_) return;
  {
    const std::lock_guard lock(pool_->mutex_);
    slot_->busy = false;
  }
  pool_->freed_.notify_all();
}

ZygoteProcess& SlotPool::Lease::zygote() const { return *slot_->zygote; }

void SlotPool::Lease::rebuild() {
  slot_->zygote.reset();
  auto zygote = std::make_unique<ZygoteProcess>(pool_->zygote_options(false));
  zygote->wait_ready();
  slot_->zygote = std::move(zygote);
}

std::unique_ptr<ZygoteProcess> SlotPool::make_workflow_zygote() const {
  auto zygote = std::make_unique<ZygoteProcess>(zygote_options(true));
  zygote->wait_ready();
  return zygote;
}

}  // namespace weft
