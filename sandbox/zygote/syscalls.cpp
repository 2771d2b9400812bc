#include "sandbox/zygote/syscalls.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "sandbox/zygote/jail.h"

namespace weft::zygote {
namespace {

constexpr const char* kAllowed[] = {
    // files and descriptors; the read-only root and landlock say what they reach
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "close",
    "close_range", "open", "openat", "openat2", "stat", "fstat", "lstat", "newfstatat", "statx",
    "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "chdir", "getdents",
    "getdents64", "lseek", "dup", "dup2", "dup3", "pipe", "pipe2", "statfs", "fstatfs", "umask",
    "fsync", "ftruncate", "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2",
    "timerfd_create", "timerfd_settime", "timerfd_gettime", "getsockname", "getpeername",
    // memory
    "brk", "mmap", "munmap", "mremap", "mprotect", "mincore", "msync", "membarrier",
    // threads, time, signals within the process
    "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "gettid", "getpid", "getppid",
    "getpgrp", "getpgid", "getsid", "getuid", "geteuid", "getgid", "getegid", "getgroups",
    "getresuid", "getresgid", "getrusage", "getrlimit", "times", "time", "gettimeofday",
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "sched_yield",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_get_priority_max",
    "sched_get_priority_min", "getpriority", "getcpu", "sysinfo", "uname", "getrandom", "alarm",
    "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime", "timer_delete",
    "pause", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend",
    "rt_sigtimedwait", "sigaltstack", "signalfd4", "tgkill", "restart_syscall", "arch_prctl",
    "exit", "exit_group", "capget"};

// With a scratch folder.
constexpr const char* kAllowedOnScratch[] = {
    "mkdir",    "mkdirat",   "rmdir",     "unlink",   "unlinkat",  "rename",
    "renameat", "link",      "linkat",    "symlink",  "symlinkat", "chmod",
    "fchmod",   "fchmodat",  "creat",     "truncate", "fallocate", "utime",
    "utimes",   "utimensat", "futimesat", "fchdir",   "renameat2", "fdatasync"};

constexpr const char* kKilled[] = {"ptrace",
                                   "process_vm_readv",
                                   "process_vm_writev",
                                   "process_madvise",
                                   "kcmp",
                                   "pidfd_open",
                                   "pidfd_getfd",
                                   "pidfd_send_signal",
                                   "mount",
                                   "umount2",
                                   "pivot_root",
                                   "chroot",
                                   "move_mount",
                                   "open_tree",
                                   "fsopen",
                                   "fsconfig",
                                   "fsmount",
                                   "fspick",
                                   "mount_setattr",
                                   "setns",
                                   "unshare",
                                   "bpf",
                                   "io_uring_setup",
                                   "io_uring_enter",
                                   "io_uring_register",
                                   "perf_event_open",
                                   "keyctl",
                                   "add_key",
                                   "request_key",
                                   "userfaultfd",
                                   "kexec_load",
                                   "kexec_file_load",
                                   "init_module",
                                   "finit_module",
                                   "delete_module",
                                   "open_by_handle_at",
                                   "name_to_handle_at",
                                   "swapon",
                                   "swapoff",
                                   "reboot",
                                   "iopl",
                                   "ioperm",
                                   "modify_ldt",
                                   "acct",
                                   "quotactl",
                                   "seccomp"};

class FilterBuilder {
 public:
  FilterBuilder() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release) {
    if (!context_) throw JailError("seccomp_init");
    require(seccomp_attr_set(get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    require(seccomp_attr_set(get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
  }

  template <class... Conditions>
  void add(uint32_t action, const char* name, Conditions... conditions) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) return;  // a call that this libseccomp does not know stays EPERM
    require(seccomp_rule_add(get(), action, number, sizeof...(conditions), conditions...));
  }

  std::vector<sock_filter> build();

 private:
  scmp_filter_ctx get() { return context_.get(); }
  static void require(int result) {
    if (result == 0) return;
    errno = -result;
    throw JailError("libseccomp");
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
};

std::vector<sock_filter> FilterBuilder::build() {
  const int fd = memfd_create("filter", MFD_CLOEXEC);
  if (fd < 0) throw JailError("memfd_create");
  require(seccomp_export_bpf(get(), fd));
  const off_t size = lseek(fd, 0, SEEK_END);
  std::vector<sock_filter> program(static_cast<size_t>(size) / sizeof(sock_filter));
  const bool ok = pread(fd, program.data(), static_cast<size_t>(size), 0) == size;
  close(fd);
  if (!ok) throw JailError("read of the filter");
  return program;
}

// An int that a call takes as its argument INDEX; the kernel does not look at the upper half.
scmp_arg_cmp int_argument(unsigned index, int value) {
  return SCMP_CMP64(index, SCMP_CMP_MASKED_EQ, 0xffffffffu, static_cast<uint32_t>(value));
}

// Socket pairs. Neither larger buffers, which are memory outside every limit, nor filters, urgent
// bytes, handles of processes.
void add_socket_rules(FilterBuilder& filter) {
  constexpr int kSendFlags = 3;  // the index of flags, in receiving, too
  filter.add(SCMP_ACT_ALLOW, "socketpair", int_argument(0, AF_UNIX));
  for (const int flags : {0, static_cast<int>(MSG_NOSIGNAL)}) {
    filter.add(SCMP_ACT_ALLOW, "sendto", int_argument(kSendFlags, flags),
               SCMP_A4(SCMP_CMP_EQ, 0));  // to no other than the pair's other end
    filter.add(SCMP_ACT_ALLOW, "recvfrom", int_argument(kSendFlags, flags));
  }
  for (const int option : {SO_REUSEADDR, SO_KEEPALIVE, SO_RCVTIMEO, SO_SNDTIMEO}) {
    filter.add(SCMP_ACT_ALLOW, "setsockopt", int_argument(1, SOL_SOCKET), int_argument(2, option));
  }
  for (const int option : {SO_TYPE, SO_ERROR, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_SNDBUF,
                           SO_RCVBUF, SO_REUSEADDR, SO_KEEPALIVE, SO_RCVTIMEO, SO_SNDTIMEO}) {
    filter.add(SCMP_ACT_ALLOW, "getsockopt", int_argument(1, SOL_SOCKET), int_argument(2, option));
  }
}

// Advice about the caller's own pages; merging them with other jobs' would tell what those hold.
void add_memory_rules(FilterBuilder& filter) {
  for (const int advice :
       {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE,
        MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_COLD, MADV_PAGEOUT}) {
    filter.add(SCMP_ACT_ALLOW, "madvise", int_argument(2, advice));
  }
}

void add_argument_rules(FilterBuilder& filter) {
  const uint32_t allow = SCMP_ACT_ALLOW;
  // Calls that read and write limits: reading only.
  filter.add(allow, "prlimit64", SCMP_A2(SCMP_CMP_EQ, 0));
  for (const unsigned long request : {FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ}) {
    filter.add(allow, "ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, request));
  }
  for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC}) {
    filter.add(allow, "fcntl", SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(command)));
  }
  for (const int option : {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA}) {
    filter.add(allow, "prctl", SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(option)));
  }
}

// Waking is allowed within the process only: a futex in a mapping of the read-only library is the
// same one in every jail. Waiting on a shared one is how libc joins threads.
void add_futex_rules(FilterBuilder& filter) {
  constexpr scmp_datum_t kPrivate = 128, kRealTime = 256, kWait = 0, kWaitBitset = 9;
  filter.add(SCMP_ACT_ALLOW, "futex", SCMP_A1(SCMP_CMP_MASKED_EQ, kPrivate, kPrivate));
  for (const scmp_datum_t operation : {kWait, kWaitBitset}) {
    filter.add(SCMP_ACT_ALLOW, "futex",
               SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu & ~kRealTime, operation));
  }
}

void add_process_rules(FilterBuilder& filter, ProcessPolicy policy) {
  constexpr scmp_datum_t kNewNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
                                          CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                                          CLONE_NEWCGROUP;
  filter.add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  if (policy == ProcessPolicy::kNone) return;
  filter.add(SCMP_ACT_ALLOW, "clone",
             SCMP_A0(SCMP_CMP_MASKED_EQ, kNewNamespaces | CLONE_THREAD, CLONE_THREAD));
  if (policy != ProcessPolicy::kProcesses) return;
  filter.add(SCMP_ACT_ALLOW, "clone",
             SCMP_A0(SCMP_CMP_MASKED_EQ, kNewNamespaces | CLONE_THREAD, 0));
  for (const char* name : {"fork", "vfork", "wait4", "waitid", "setsid", "setpgid"}) {
    filter.add(SCMP_ACT_ALLOW, name);
  }
}

// What is refused in such a way that libraries go on. Locks on files: a real one on a file of the
// read-only library would be seen by other jobs; one on the job's own files has nobody to hold off,
// and is granted without being taken. Extended attributes: there are none.
void add_polite_refusals(FilterBuilder& filter) {
  for (const int command : {F_SETLK, F_SETLKW}) {
    filter.add(SCMP_ACT_ERRNO(0), "fcntl",
               SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(command)));
  }
  filter.add(SCMP_ACT_ERRNO(0), "flock");
  for (const char* name : {"listxattr", "llistxattr", "flistxattr", "getxattr", "lgetxattr",
                           "fgetxattr", "setxattr", "lsetxattr", "fsetxattr"}) {
    filter.add(SCMP_ACT_ERRNO(ENOTSUP), name);
  }
}

}  // namespace

std::vector<sock_filter> make_filter(FilterKind kind) {
  FilterBuilder filter;
  for (const char* name : kAllowed) filter.add(SCMP_ACT_ALLOW, name);
  if (kind.scratch) {
    for (const char* name : kAllowedOnScratch) filter.add(SCMP_ACT_ALLOW, name);
    add_polite_refusals(filter);
  }
  for (const char* name : kKilled) filter.add(SCMP_ACT_KILL_PROCESS, name);
  add_argument_rules(filter);
  add_socket_rules(filter);
  add_memory_rules(filter);
  add_futex_rules(filter);
  add_process_rules(filter, kind.processes);
  return filter.build();
}

}  // namespace weft::zygote
