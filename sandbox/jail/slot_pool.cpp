#include "sandbox/jail/slot_pool.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace weft {
namespace {

constexpr const char* kWorkflowModules =
    "math,re,string,collections,itertools,functools,heapq,random,typing,json,statistics,asyncio,"
    "threading,ast";

std::string find_zygote(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw Error("sandbox: cannot read /proc/self/exe; remedy: mount proc on /proc");
  const auto here = self.parent_path();
  for (const auto& path : {here / "weft_zygote", here / "../libexec/weft_zygote"}) {
    if (std::filesystem::exists(path, error)) return path.lexically_normal().string();
  }
  throw InputError("sandbox: no weft_zygote beside the program (" + here.string() +
                   ") or in ../libexec; set zygote_path");
}

/// Root's jails run as another user, who has to see the modules.
void require_readable(const std::string& packages) {
  if (geteuid() != 0) return;
  using std::filesystem::perms;
  constexpr perms kSeen = perms::others_read | perms::others_exec;
  for (const char* part : {"", "/numpy", "/sympy"}) {
    const std::string folder = packages + part;
    if (!std::filesystem::is_directory(folder)) continue;
    if ((std::filesystem::status(folder).permissions() & kSeen) == kSeen) continue;
    throw InputError("sandbox: packages: jails cannot read " + folder + ": chmod -R a+rX " +
                     packages);
  }
}

bool is_tier(const std::string& name) { return name == "A" || name == "B" || name == "C"; }

void validate(const SandboxOptions& options) {
  if (options.num_slots < 1) {
    throw InputError("sandbox: num_slots expects at least 1, got " +
                     std::to_string(options.num_slots));
  }
  for (const auto& [key, tier] :
       {std::pair{"min_tier", options.min_tier}, std::pair{"max_tier", options.max_tier}}) {
    if (!is_tier(tier)) {
      throw InputError(std::string("sandbox: ") + key + " expects \"A\", \"B\" or \"C\", got \"" +
                       tier + "\"");
    }
  }
  if (options.max_tier > options.min_tier) {
    throw InputError("sandbox: max_tier \"" + options.max_tier + "\" is less than min_tier \"" +
                     options.min_tier + "\"");
  }
  if (!options.packages.empty() && !std::filesystem::is_directory(options.packages)) {
    throw InputError("sandbox: packages expects a folder, got \"" + options.packages + "\"");
  }
  if (!options.packages.empty()) require_readable(options.packages);
}

}  // namespace

struct SlotPool::Lease::Slot {
  std::unique_ptr<ZygoteProcess> zygotes[kNumFlavours];
  bool busy = false;
};

struct SlotPool::Group {
  std::vector<std::unique_ptr<Lease::Slot>> slots;
};

SlotPool::SlotPool(const SandboxOptions& options) : options_(options) {
  validate(options);
  options_.zygote_path = find_zygote(options.zygote_path);
  if (!options.packages.empty()) {
    options_.packages = std::filesystem::absolute(options.packages).string();
    packages_.numpy = std::filesystem::exists(options.packages + "/numpy/__init__.py");
    packages_.sympy = std::filesystem::exists(options.packages + "/sympy/__init__.py");
  }
  for (auto& group : groups_) group = std::make_unique<Group>();
  start_best_tier();
}

SlotPool::~SlotPool() = default;

void SlotPool::start_best_tier() {
  std::string failures;
  for (tier_ = options_.max_tier; tier_ <= options_.min_tier; ++tier_[0]) {
    if (tier_ == "B" && geteuid() != 0) {
      failures += "; tier B needs root";
      continue;
    }
    try {
      return start_candidates();
    } catch (const Error& error) {
      failures += "; tier " + tier_ + " " + error.what();
    }
  }
  throw Error("sandbox: this machine offers no tier " + options_.min_tier +
              (options_.min_tier == "A" ? "" : " or better") + failures +
              (options_.min_tier == "C" ? "" : "; min_tier=C would do without namespaces"));
}

ZygoteOptions SlotPool::zygote_options(Flavour flavour) const {
  ZygoteOptions zygote;
  zygote.path = options_.zygote_path;
  zygote.tier = tier_;
  zygote.modules = modules_of(flavour);
  zygote.bare = flavour == Flavour::kMin;
  zygote.uid = options_.jail_uid;
  zygote.packages = options_.packages;
  zygote.hash_seed = options_.hash_seed;
  return zygote;
}

void SlotPool::start_candidates() {
  auto& slots = groups_[static_cast<int>(Use::kCandidate)]->slots;
  slots.clear();
  const auto standard = static_cast<int>(Flavour::kStd);
  for (int i = 0; i < options_.num_slots; ++i) {
    slots.push_back(std::make_unique<Lease::Slot>());
    slots.back()->zygotes[standard] =
        std::make_unique<ZygoteProcess>(zygote_options(Flavour::kStd));
  }
  for (auto& slot : slots) slot->zygotes[standard]->wait_ready();
  description_ = slots[0]->zygotes[standard]->description();
}

SlotPool::Lease SlotPool::acquire(Use use, Flavour flavour) {
  Lease::Slot* taken = nullptr;
  {
    std::unique_lock lock(mutex_);
    auto& slots = groups_[static_cast<int>(use)]->slots;
    if (use == Use::kChecker && slots.empty()) {
      for (int i = 0; i < options_.num_slots; ++i) slots.push_back(std::make_unique<Lease::Slot>());
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
  lease.choose(flavour);
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

ZygoteProcess& SlotPool::Lease::zygote() const {
  return *slot_->zygotes[static_cast<int>(flavour_)];
}

void SlotPool::Lease::choose(Flavour flavour) {
  flavour_ = flavour;
  const auto& zygote = slot_->zygotes[static_cast<int>(flavour)];
  if (!zygote || !zygote->is_alive()) rebuild();
}

void SlotPool::Lease::rebuild() {
  auto& place = slot_->zygotes[static_cast<int>(flavour_)];
  place.reset();
  auto zygote = std::make_unique<ZygoteProcess>(pool_->zygote_options(flavour_));
  zygote->wait_ready();
  place = std::move(zygote);
}

std::unique_ptr<ZygoteProcess> SlotPool::make_workflow_zygote() const {
  ZygoteOptions options = zygote_options(Flavour::kStd);
  options.modules = kWorkflowModules;
  options.workflows = true;
  auto zygote = std::make_unique<ZygoteProcess>(options);
  zygote->wait_ready();
  return zygote;
}

}  // namespace weft
