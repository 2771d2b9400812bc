#include "sandbox/zygote/locks.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft::zygote {
namespace {

// The kernel's struct, with the fields that newer headers have.
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

// Rights, as bits of the kernel's interface.
constexpr uint64_t kWriteFile = 1 << 1;
constexpr uint64_t kReadFile = 1 << 2;
constexpr uint64_t kReadDirectory = 1 << 3;
constexpr uint64_t kOnScratch = kWriteFile | kReadFile | kReadDirectory | 1 << 4 |
                                1 << 5                        // and remove
                                | 1 << 7 | 1 << 8 | 1 << 12;  // make directory, file, symlink
constexpr uint64_t kRefer = 1 << 13;
constexpr uint64_t kTruncate = 1 << 14;
constexpr uint64_t kIoctlOnDevices = 1 << 15;

constexpr int kAbiOfTierC = 6;  // signals and abstract sockets stay inside from here on

uint64_t handled_rights(int abi) {
  uint64_t access = kRefer - 1;
  if (abi >= 2) access |= kRefer;
  if (abi >= 3) access |= kTruncate;
  if (abi >= 5) access |= kIoctlOnDevices;
  return access;
}

// Errors are for the caller to judge: -1 and errno.
int make_empty_ruleset(int abi) {
  const RulesetAttributes attributes{handled_rights(abi), abi >= 4 ? 3u : 0u, abi >= 6 ? 3u : 0u};
  const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  return static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
}

bool allow_beneath(int ruleset, const char* path, uint64_t access) {
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access;
  rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
  const bool ok = rule.parent_fd >= 0 && syscall(SYS_landlock_add_rule, ruleset,
                                                 LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  if (rule.parent_fd >= 0) close(rule.parent_fd);
  return ok;
}

// What every job with a jail's root has: all is readable, and one device takes and keeps nothing.
bool allow_root(int ruleset) {
  return allow_beneath(ruleset, "/", kReadFile | kReadDirectory) &&
         allow_beneath(ruleset, "/dev/null", kReadFile | kWriteFile);
}

// At tier C the root is the host's: only what a jail would hold is readable.
int make_ruleset(int abi, const JailOptions& options) {
  const int ruleset = make_empty_ruleset(abi);
  if (ruleset < 0) throw JailError("landlock_create_ruleset");
  if (options.tier != "C") {
    if (!allow_root(ruleset)) throw JailError("landlock rule");
    return ruleset;
  }
  std::vector<std::string> folders = {WEFT_PYTHON_STDLIB, WEFT_PYTHON_LIBDIR};
  if (access(kTimeZones, F_OK) == 0) folders.push_back(kTimeZones);
  if (!options.packages.empty()) folders.push_back(options.packages);
  for (const auto& folder : folders) {
    if (!allow_beneath(ruleset, folder.c_str(), kReadFile | kReadDirectory)) {
      throw JailError("landlock rule for " + folder);
    }
  }
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/urandom"}) {
    if (!allow_beneath(ruleset, device, kReadFile | kWriteFile)) throw JailError("landlock rule");
  }
  return ruleset;
}

void require(bool ok) {
  if (!ok) _exit(Locks::kLockFailed);
}

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  require(setrlimit(static_cast<__rlimit_resource>(resource), &both) == 0);
}

FilterKind filter_of(const ControlRequest& request) {
  FilterKind kind;
  kind.scratch = request.scratch_mb > 0;
  if (request.child != ChildKind::kWorkflow) {
    kind.processes = request.max_procs > 0 ? ProcessPolicy::kProcesses : ProcessPolicy::kThreads;
  }
  return kind;
}

void probe_seccomp() {
  const uint32_t action = SECCOMP_RET_KILL_PROCESS;
  if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
    throw JailError("seccomp filters");
  }
}

}  // namespace

Locks::Locks(const JailOptions& options) : options_(options) {
  probe_seccomp();
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (options.tier == "C" && abi < kAbiOfTierC) throw JailError("landlock of ABI 6 for tier C");
  if (abi > 0) {
    landlock_abi_ = static_cast<int>(abi);
    ruleset_ = make_ruleset(landlock_abi_, options);
  }
}

void Locks::prepare(const ControlRequest& request) {
  const FilterKind kind = filter_of(request);
  if (!filters_.contains(kind)) filters_[kind] = make_filter(kind);
}

std::string Locks::describe() const {
  return "landlock=" + std::to_string(landlock_abi_) + " seccomp";
}

void Locks::apply_rlimits(const ControlRequest& request, int64_t base_bytes) const {
  constexpr rlim_t kThreads = 64, kOwnProcesses = 3;  // the launcher, the zygote, the job
  const auto processes = static_cast<rlim_t>(request.max_procs);
  limit(RLIMIT_AS, static_cast<rlim_t>(base_bytes + request.memory_bytes));
  limit(RLIMIT_CPU, static_cast<rlim_t>(request.cpu_seconds));
  // Counted by uid: in the jail's user namespace, or on the whole host, where it says little.
  if (options_.tier == "A" && processes > 0) limit(RLIMIT_NPROC, kOwnProcesses + processes);
  if (options_.tier == "A" && processes == 0) limit(RLIMIT_NPROC, kThreads);
  if (options_.tier == "B") limit(RLIMIT_NPROC, kThreads + processes);
  limit(RLIMIT_NOFILE, 64);
  limit(RLIMIT_FSIZE, rlim_t{request.scratch_mb} << 20);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_MEMLOCK, 0);
  limit(RLIMIT_MSGQUEUE, 0);
  limit(RLIMIT_SIGPENDING, 64);
  limit(RLIMIT_NICE, 0);
  limit(RLIMIT_RTPRIO, 0);
  rlimit stack{};
  require(getrlimit(RLIMIT_STACK, &stack) == 0);
  limit(RLIMIT_STACK, stack.rlim_max < (8 << 20) ? stack.rlim_max : (8 << 20));
}

void Locks::apply_landlock(const ControlRequest& request) const {
  if (ruleset_ < 0) return;
  if (request.scratch_mb == 0) {
    return require(syscall(SYS_landlock_restrict_self, ruleset_, 0) == 0);
  }
  // One a job: rules for many short-lived folders would pile up in a shared one.
  const int ruleset = make_empty_ruleset(landlock_abi_);
  require(ruleset >= 0 && allow_root(ruleset));
  const uint64_t on_scratch = kOnScratch | kRefer | kTruncate;
  require(allow_beneath(ruleset, kScratch, on_scratch & handled_rights(landlock_abi_)));
  require(syscall(SYS_landlock_restrict_self, ruleset, 0) == 0);
}

void Locks::apply(const ControlRequest& request, int64_t base_bytes, int files) const {
  if (options_.tier != "C" && (options_.workflows || request.scratch_mb > 0)) {
    leave_shared_mounts();
    if (request.scratch_mb > 0) {
      mount_scratch(request.scratch_mb, request.child == ChildKind::kStdio);
      place_files(files, request.num_files);
    }
  }
  apply_rlimits(request, base_bytes);
  require(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
  require(prctl(PR_SET_DUMPABLE, 0) == 0);
  require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  require(syscall(SYS_capset, &header, none) == 0);
  apply_landlock(request);
  require(syscall(SYS_close_range, kChannelFd + 1, ~0u, 0) == 0);
  const auto& filter = filters_.at(filter_of(request));
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  require(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

}  // namespace weft::zygote
