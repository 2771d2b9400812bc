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

#include "sandbox/zygote/jail.h"
#include "sandbox/zygote/syscalls.h"

namespace weft::zygote {
namespace {

// The kernel's struct, with the fields that newer headers have.
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

constexpr uint64_t kReadFile = 1 << 2;
constexpr uint64_t kReadDirectory = 1 << 3;

int make_ruleset(int abi) {
  uint64_t access = (1u << 13) - 1;
  if (abi >= 2) access |= 1u << 13;  // refer
  if (abi >= 3) access |= 1u << 14;  // truncate
  if (abi >= 5) access |= 1u << 15;  // ioctl on devices
  const RulesetAttributes attributes{access, abi >= 4 ? 3u : 0u, abi >= 6 ? 3u : 0u};
  const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const int ruleset = static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
  if (ruleset < 0) throw StepError("landlock_create_ruleset");
  landlock_path_beneath_attr rule{};
  rule.allowed_access = kReadFile | kReadDirectory;
  rule.parent_fd = open("/", O_PATH | O_CLOEXEC);
  if (rule.parent_fd < 0 ||
      syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    throw StepError("landlock_add_rule");
  }
  close(rule.parent_fd);
  return ruleset;
}

void require(bool ok) {
  if (!ok) _exit(Locks::kLockFailed);
}

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  require(setrlimit(static_cast<__rlimit_resource>(resource), &both) == 0);
}

void apply_rlimits(const ControlRequest& request, int64_t base_bytes) {
  constexpr rlim_t kThreads = 64;
  limit(RLIMIT_AS, static_cast<rlim_t>(base_bytes + request.memory_bytes));
  limit(RLIMIT_CPU, static_cast<rlim_t>(request.cpu_seconds));
  limit(RLIMIT_NPROC, kThreads + static_cast<rlim_t>(request.max_procs));
  limit(RLIMIT_NOFILE, 64);
  limit(RLIMIT_FSIZE, 0);
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

ProcessPolicy policy_of(const ControlRequest& request) {
  if (request.child == ChildKind::kWorkflow) return ProcessPolicy::kNone;
  return request.max_procs > 0 ? ProcessPolicy::kProcesses : ProcessPolicy::kThreads;
}

}  // namespace

Locks::Locks() {
  for (const auto policy :
       {ProcessPolicy::kNone, ProcessPolicy::kThreads, ProcessPolicy::kProcesses}) {
    filters_[static_cast<int>(policy)] = make_filter(policy);
  }
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi > 0) {
    landlock_abi_ = static_cast<int>(abi);
    ruleset_ = make_ruleset(landlock_abi_);
  }
}

std::string Locks::describe() const {
  return "landlock=" + std::to_string(landlock_abi_) + " seccomp";
}

void Locks::apply(const ControlRequest& request, int64_t base_bytes) const {
  apply_rlimits(request, base_bytes);
  require(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
  require(prctl(PR_SET_DUMPABLE, 0) == 0);
  require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  require(syscall(SYS_capset, &header, none) == 0);
  if (ruleset_ >= 0) require(syscall(SYS_landlock_restrict_self, ruleset_, 0) == 0);
  require(syscall(SYS_close_range, kChannelFd + 1, ~0u, 0) == 0);
  const auto& filter = filters_[static_cast<int>(policy_of(request))];
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  require(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

}  // namespace weft::zygote
