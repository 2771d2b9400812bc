/// weft_confine MODE PROGRAM ARGS...: runs a program on a machine that lacks something, as the
/// kernel or a container's seccomp profile would take it away. Exit 77: this machine cannot show
/// it.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

namespace {

[[noreturn]] void cannot(const char* what) {
  std::perror(what);
  _exit(77);
}

void write_file(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    cannot(path.c_str());
  }
  close(fd);
}

// An unprivileged user in a namespace that admits no further ones.
void take_user_namespaces() {
  const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
  if (unshare(CLONE_NEWUSER) != 0) cannot("unshare");
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "1000 " + uid + " 1\n");
  write_file("/proc/self/gid_map", "1000 " + gid + " 1\n");
  write_file("/proc/sys/user/max_user_namespaces", "0");
}

// Root, of a namespace in which there is nobody else, for what is no root outside.
void become_root_of_one_id() {
  constexpr unsigned kSomebody = 1000;
  if (geteuid() == 0 &&
      (setgroups(0, nullptr) != 0 || setresgid(kSomebody, kSomebody, kSomebody) != 0 ||
       setresuid(kSomebody, kSomebody, kSomebody) != 0)) {
    cannot("setresuid");
  }
  if (prctl(PR_SET_DUMPABLE, 1) != 0) cannot("PR_SET_DUMPABLE");
  const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
  if (unshare(CLONE_NEWUSER) != 0) cannot("unshare");
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", "0 " + uid + " 1\n");
  write_file("/proc/self/gid_map", "0 " + gid + " 1\n");
}

// As docker run --cap-drop=ALL.
void drop_capabilities() {
  if (geteuid() != 0) {
    errno = EPERM;
    cannot("root without capabilities");
  }
  for (int number = 0; prctl(PR_CAPBSET_READ, number) >= 0; ++number) {
    if (prctl(PR_CAPBSET_DROP, number) != 0) cannot("PR_CAPBSET_DROP");
  }
}

// A /dev of its own, empty or with a plain file as its null.
void mask_dev(bool has_file) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", "/dev", "tmpfs", 0, nullptr) != 0) {
    cannot("mask /dev");
  }
  if (has_file && open("/dev/null", O_CREAT | O_WRONLY | O_CLOEXEC, 0666) < 0) cannot("/dev/null");
}

void mask_proc() {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", "/proc", "tmpfs", MS_RDONLY, nullptr) != 0) {
    cannot("mask /proc");
  }
}

void mask_cgroups() {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", "/sys/fs/cgroup", "tmpfs", MS_RDONLY, nullptr) != 0) {
    cannot("mask /sys/fs/cgroup");
  }
}

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW)) {}
  template <class... Conditions>
  Filter& refuse(const char* call, int error, Conditions... conditions) {
    const int number = seccomp_syscall_resolve_name(call);
    if (number != __NR_SCMP_ERROR) {
      seccomp_rule_add(context_, SCMP_ACT_ERRNO(static_cast<uint32_t>(error)), number,
                       sizeof...(conditions), conditions...);
    }
    return *this;
  }
  void load() {
    if (seccomp_load(context_) != 0) cannot("seccomp_load");
  }

 private:
  scmp_filter_ctx context_;
};

bool confine(const std::string& mode) {
  if (mode == "no-user-namespaces") {
    take_user_namespaces();
  } else if (mode == "single-id") {
    become_root_of_one_id();
  } else if (mode == "no-capabilities") {
    drop_capabilities();
  } else if (mode == "no-null-device" || mode == "null-is-a-file") {
    mask_dev(mode == "null-is-a-file");
  } else if (mode == "no-mounts") {
    Filter().refuse("mount", EPERM).load();
  } else if (mode == "masked-proc") {
    mask_proc();
  } else if (mode == "masked-cgroups") {
    mask_cgroups();
  } else if (mode == "container") {
    Filter().refuse("unshare", EPERM).refuse("mount", EPERM).load();
  } else if (mode == "no-landlock") {
    Filter()
        .refuse("landlock_create_ruleset", ENOSYS)
        .refuse("unshare", EPERM, SCMP_A0(SCMP_CMP_EQ, 0))
        .load();
  } else if (mode == "no-seccomp") {
    Filter().refuse("seccomp", EINVAL).load();
  } else if (mode == "apparmor") {
    Filter().refuse("mount", EACCES).load();
  } else if (mode == "full-pid-table") {
    Filter()
        .refuse("clone3", ENOSYS)
        .refuse("fork", EAGAIN)
        .refuse("clone", EAGAIN, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_VM, 0))
        .load();
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || !confine(argv[1])) return 2;
  execv(argv[2], argv + 2);
  cannot(argv[2]);
}
