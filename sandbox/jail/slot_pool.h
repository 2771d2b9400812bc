/// The slots of a Sandbox: who may use which zygote when.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/jail/flavour.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/jail/zygote_process.h"

namespace weft {

/// Thread-safe.
class SlotPool {
 public:
  /// Starts the candidates' slots at the best tier that works. Throws InputError for bad options,
  /// Error naming what failed at each tier, and the remedy.
  explicit SlotPool(const SandboxOptions& options);
  ~SlotPool();

  /// A slot while it lives; borrowed from the pool.
  class Lease {
   public:
    Lease(Lease&& other) noexcept
        : pool_(other.pool_), slot_(other.slot_), flavour_(other.flavour_) {
      other.pool_ = nullptr;
    }
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    ZygoteProcess& zygote() const;  ///< of the chosen flavour
    /// Starts that zygote where the slot has none yet, or one that died. Throws Error when it
    /// cannot be started.
    void choose(Flavour flavour);
    /// Replaces a zygote that died or hangs. Throws Error when none can be started.
    void rebuild();

   private:
    friend class SlotPool;
    struct Slot;
    Lease(SlotPool* pool, Slot* slot) : pool_(pool), slot_(slot) {}
    SlotPool* pool_;
    Slot* slot_;
    Flavour flavour_ = Flavour::kStd;
  };

  /// What `run()` gives. Where it throws Error, the sandbox being at fault, the lease's zygote is
  /// made anew and it is run once more; InputError passes.
  template <class Run>
  static auto run_retried(Lease& lease, Run run) {
    try {
      return run();
    } catch (const InputError&) {
      throw;
    } catch (const Error&) {
      lease.rebuild();
    }
    return run();
  }

  /// Who runs in the slot. A checker's slot is taken while holding a candidate's, never the other
  /// way round, so that two judges cannot wait for each other.
  enum class Use { kCandidate, kChecker };

  /// Blocks until a slot is free. Throws Error when its zygote cannot be started.
  Lease acquire(Use use, Flavour flavour = Flavour::kStd);

  const Packages& packages() const { return packages_; }

  /// A zygote for many workflows at a time, ready; the caller owns it.
  std::unique_ptr<ZygoteProcess> make_workflow_zygote() const;

  const std::string& tier() const { return tier_; }
  const std::string& description() const { return description_; }  ///< "A landlock=7 seccomp"
  double time_scale() const { return time_scale_; }
  void set_time_scale(double scale) { time_scale_ = scale; }

 private:
  struct Group;
  ZygoteOptions zygote_options(Flavour flavour) const;
  void start_best_tier();
  void start_candidates();

  SandboxOptions options_;
  Packages packages_;
  std::string tier_;
  std::string description_;
  double time_scale_ = 1;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::unique_ptr<Group> groups_[2];  // by Use
};

}  // namespace weft
