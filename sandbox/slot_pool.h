/// The slots of a Sandbox: who may use which zygote when.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"
#include "sandbox/zygote_process.h"

namespace weft {

/// Thread-safe.
class SlotPool {
 public:
  /// Starts the candidates' slots. Throws Error.
  explicit SlotPool(const SandboxOptions& options);
  ~SlotPool();

  /// A slot while it lives; borrowed from the pool.
  class Lease {
   public:
    Lease(Lease&& other) noexcept : pool_(other.pool_), slot_(other.slot_) {
      other.pool_ = nullptr;
    }
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    ZygoteProcess& zygote() const;
    /// Replaces a zygote that died or hangs. Throws Error when none can be started.
    void rebuild();

   private:
    friend class SlotPool;
    struct Slot;
    Lease(SlotPool* pool, Slot* slot) : pool_(pool), slot_(slot) {}
    SlotPool* pool_;
    Slot* slot_;
  };

  /// Who runs in the slot. A checker's slot is taken while holding a candidate's, never the other
  /// way round, so that two judges cannot wait for each other.
  enum class Use { kCandidate, kChecker };

  /// Blocks until a slot is free.
  Lease acquire(Use use);

  /// A zygote for many workflows at a time, ready; the caller owns it.
  std::unique_ptr<ZygoteProcess> make_workflow_zygote() const;

  const std::string& tier() const { return tier_; }
  double time_scale() const { return time_scale_; }
  void set_time_scale(double scale) { time_scale_ = scale; }

 private:
  struct Group;
  ZygoteOptions zygote_options(bool workflows) const;
  void start_candidates(int num_slots);

  std::string path_;
  std::string tier_;
  double time_scale_ = 1;
  int num_slots_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::unique_ptr<Group> groups_[2];  // by Use
};

}  // namespace weft
