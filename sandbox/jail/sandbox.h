/// The pool of jails in which Python of unknown intent runs.
///
/// A slot is one exec'd `weft_zygote`: a warm CPython in namespaces of its own (user, mount, PID,
/// network, IPC, UTS, cgroup), PID 1 there, with an empty environment and a read-only root that
/// holds the standard library and shared libraries only. Each job is one fork of it that locks
/// itself (rlimits, capabilities, no_new_privs, landlock, seccomp) and dies after the job.
///
/// Isolation tiers, stated in every verdict: A = all of the above; B = real root without user
/// namespaces, then an unprivileged uid; C = no namespaces at all, only the locks of each job (with
/// landlock of ABI 6), on explicit demand. Anything less refuses to start.
#pragma once

#include <memory>
#include <string>

#include "base/start_check.h"

namespace weft {

class SlotPool;

struct SandboxOptions {
  int num_slots = 2;           ///< jobs at a time; more than cores only adds latency; >= 1
  std::string min_tier = "B";  ///< "A", "B" or "C"; a machine that offers less is refused
  std::string max_tier = "A";  ///< "B" or "C" try no better one
  bool allow_inproc = false;   ///< admit Mode::kInproc, whose verdicts are forgeable
  std::string zygote_path;     ///< default: beside this program, else ../libexec/weft_zygote
  /// Folder whose modules candidates may import beside the standard library, as made by `pip
  /// install --target`; with numpy or sympy in it, code that imports them finds them loaded. Empty:
  /// none.
  std::string packages;
  /// Uid and gid on the host of what runs in the jails, when started by root. The kernel counts no
  /// processes of uid 0: the self-test then refuses to serve.
  unsigned jail_uid = 65534;
  /// Of Python's string hashes, which the order of sets depends on.
  unsigned hash_seed = 0;
};

/// Thread-safe; borrowed by Judge, PythonAnalyser and WorkflowHost, which it must outlive.
class Sandbox {
 public:
  /// Starts the slots and proves the locks by a job that tries to break them.
  ///
  /// Throws InputError for bad options, Error naming the failed probe, its errno and the remedy
  /// where the isolation asked for cannot be had.
  explicit Sandbox(SandboxOptions options = {});
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  std::string tier() const;  ///< "A", "B" or "C"

  /// The locks that hold, for logs: "tier A, landlock 7, seccomp, no memory cgroup".
  std::string description() const;
  const SandboxOptions& options() const { return options_; }

  /// Ratio of this machine's time for a fixed piece of Python to the reference machine's; at
  /// least 1. CPU and wall limits are multiplied by it.
  double time_scale() const;

  double self_test_ms() const { return self_test_ms_; }  ///< wall time of the proof at the start

  /// For the other parts of this room.
  SlotPool& slots() { return *slots_; }

 private:
  SandboxOptions options_;
  std::unique_ptr<SlotPool> slots_;
  double self_test_ms_ = 0;
};

/// Starts a sandbox of these options with one slot, and ends it: adds what keeps it from starting.
void check_sandbox(SandboxOptions options, StartCheck& check);

}  // namespace weft
