#include "sandbox/zygote/jail.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "sandbox/zygote/protocol.h"

namespace weft::zygote {
namespace {

void check(bool ok, const std::string& step) {
  if (!ok) throw JailError(step);
}

bool write_file(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  close(fd);
  errno = error;
  return ok;
}

// The whole machine's user namespace, where uid 0 is the one that no limit of processes holds for.
bool is_initial_user_namespace() {
  std::ifstream map("/proc/self/uid_map");
  uint64_t inside = 1, outside = 1, count = 0;
  return map >> inside >> outside >> count && inside == 0 && outside == 0 && count == UINT32_MAX;
}

// Maps one id each into the namespace of `pid`; returns the errno of the failed write.
int write_maps_to(pid_t pid, unsigned uid, unsigned gid, bool denies_groups) {
  const std::string proc = "/proc/" + std::to_string(pid) + "/";
  const auto line = [](unsigned id) {
    return std::to_string(kJailId) + " " + std::to_string(id) + " 1\n";
  };
  if (denies_groups && !write_file(proc + "setgroups", "deny")) return errno;
  if (!write_file(proc + "uid_map", line(uid))) return errno;
  if (!write_file(proc + "gid_map", line(gid))) return errno;
  return 0;
}

// Runs in the old user namespace. Root of a namespace that cannot map other ids stays itself, as
// everybody but root does.
int write_maps(pid_t pid, unsigned host_id) {
  if (geteuid() != 0) return write_maps_to(pid, geteuid(), getegid(), true);
  const int error = write_maps_to(pid, host_id, host_id, false);
  if (error != EPERM || is_initial_user_namespace()) return error;
  return write_maps_to(pid, geteuid(), getegid(), true);
}

// Forks the process that writes the maps once `go` is closed; its exit status is an errno.
pid_t start_map_writer(int go[2], unsigned host_id) {
  const pid_t target = getpid();
  check(pipe2(go, O_CLOEXEC) == 0, "pipe");
  const pid_t writer = fork();
  check(writer >= 0, "fork of the map writer");
  if (writer == 0) {
    close(go[1]);
    char byte;
    if (read(go[0], &byte, 1) != 1) _exit(0);
    _exit(write_maps(target, host_id));
  }
  close(go[0]);
  return writer;
}

constexpr int kNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

void enter_user_namespace(unsigned host_id) {
  int go[2];
  const pid_t writer = start_map_writer(go, host_id);
  check(unshare(CLONE_NEWUSER | kNamespaces) == 0, "unshare of user namespaces");
  check(write(go[1], "", 1) == 1, "signal to the map writer");
  close(go[1]);
  int status = 0;
  check(waitpid(writer, &status, 0) == writer, "wait for the map writer");
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
  check(errno == 0, "write of uid_map and gid_map");
  check(setresgid(kJailId, kJailId, kJailId) == 0, "setresgid");
  check(setresuid(kJailId, kJailId, kJailId) == 0, "setresuid");
}

void read_whole(int fd, void* to, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t got = read(fd, static_cast<char*>(to) + done, size - done);
    check(got > 0, "read of a job's files");
    done += static_cast<size_t>(got);
  }
}

void make_directories(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    check(mkdir(part.c_str(), 0755) == 0 || errno == EEXIST, "mkdir " + part);
    if (at == std::string::npos) return;
  }
}

// Flags that the kernel locks on a mount that a user namespace inherits.
unsigned long inherited_flags(const std::string& path) {
  struct statvfs info {};
  check(statvfs(path.c_str(), &info) == 0, "statvfs " + path);
  unsigned long flags = 0;
  if (info.f_flag & ST_NOSUID) flags |= MS_NOSUID;
  if (info.f_flag & ST_NODEV) flags |= MS_NODEV;
  if (info.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
  if (info.f_flag & ST_NOATIME) flags |= MS_NOATIME;
  if (info.f_flag & ST_NODIRATIME) flags |= MS_NODIRATIME;
  if (info.f_flag & ST_RELATIME) flags |= MS_RELATIME;
  return flags;
}

void bind(const std::string& source, const std::string& target, unsigned long flags) {
  const unsigned long kept = inherited_flags(source);
  check(mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0, "bind " + source);
  check(mount(nullptr, target.c_str(), nullptr, MS_BIND | MS_REMOUNT | kept | flags, nullptr) == 0,
        "remount of " + source);
}

void make_empty_file(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0644);
  check(fd >= 0, "create " + path);
  close(fd);
}

// Jails write on one: it must be nothing that keeps what is written.
void require_device(const char* path) {
  struct stat info {};
  check(stat(path, &info) == 0, std::string("stat of ") + path);
  errno = ENODEV;
  check(S_ISCHR(info.st_mode) && major(info.st_rdev) == 1, std::string("device ") + path);
}

void copy_to_end(int from, int to) {
  char chunk[1 << 16];
  for (ssize_t got; (got = read(from, chunk, sizeof chunk)) != 0;) {
    check(got > 0 && write(to, chunk, static_cast<size_t>(got)) == got, "copy of standard input");
  }
}

// By way of a file of the scratch folder, which does not stay there.
void name_standard_input() {
  const std::string file = std::string(kScratch) + "/stdin";
  const int copy = open(file.c_str(), O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0400);
  check(copy >= 0, "create " + file);
  copy_to_end(STDIN_FILENO, copy);
  close(copy);
  bind(file, kStandardInput, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
  const int named = open(kStandardInput, O_RDONLY | O_CLOEXEC);
  check(named >= 0 && dup2(named, STDIN_FILENO) == STDIN_FILENO, "open of standard input");
  close(named);
  check(unlink(file.c_str()) == 0, "unlink " + file);
}

}  // namespace

JailError::JailError(const std::string& what) : std::runtime_error(what), code_(errno) {}

void enter_namespaces(const JailOptions& options) {
  if (options.tier == "A") return enter_user_namespace(options.host_id);
  check(unshare(kNamespaces) == 0, "unshare without a user namespace");
}

void become_user(unsigned id, bool keep_capabilities) {
  check(prctl(PR_SET_KEEPCAPS, keep_capabilities ? 1 : 0) == 0, "keep capabilities");
  check(setgroups(0, nullptr) == 0, "setgroups");
  check(setresgid(id, id, id) == 0, "setresgid");
  check(setresuid(id, id, id) == 0, "setresuid");
}

void keep_capabilities(uint32_t mask) {
  const __user_cap_data_struct data[2] = {{mask, mask, 0}, {0, 0, 0}};
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  check(syscall(SYS_capset, &header, data) == 0, "capset");
}

void be_killed_first() { static_cast<void>(write_file("/proc/self/oom_score_adj", "1000")); }

ProcHandles open_proc_handles() {
  ProcHandles handles;
  handles.pid_namespace = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  check(handles.pid_namespace >= 0, "open /proc/self/ns/pid");
  handles.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  check(handles.statm >= 0, "open /proc/self/statm");
  return handles;
}

int64_t address_space_bytes(int statm) {
  char text[64] = {};
  check(pread(statm, text, sizeof text - 1, 0) > 0, "read of statm");
  return std::strtoll(text, nullptr, 10) * sysconf(_SC_PAGESIZE);
}

void enter_root(const JailOptions& options) {
  const std::string root = "/tmp";
  // Opened before the new root hides it.
  const int packages =
      options.packages.empty() ? -1 : open(options.packages.c_str(), O_PATH | O_CLOEXEC);
  check(options.packages.empty() || packages >= 0, "open " + options.packages);
  check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
  check(mount("tmpfs", root.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
              "size=256k,nr_inodes=256,mode=755") == 0,
        "mount of a tmpfs");
  for (const char* directory : {WEFT_PYTHON_STDLIB, WEFT_PYTHON_LIBDIR}) {
    make_directories(root + directory);
    bind(directory, root + directory, MS_RDONLY | MS_NOSUID | MS_NODEV);
  }
  if (access(kTimeZones, F_OK) == 0) {
    make_directories(root + kTimeZones);
    bind(kTimeZones, root + kTimeZones, MS_RDONLY | MS_NOSUID | MS_NODEV);
  }
  check(symlink("usr/lib", (root + "/lib").c_str()) == 0 || errno == EEXIST, "symlink /lib");
  make_directories(root + kScratch);
  if (packages >= 0) {
    make_directories(root + kPackages);
    bind("/proc/self/fd/" + std::to_string(packages), root + kPackages,
         MS_RDONLY | MS_NOSUID | MS_NODEV);
    close(packages);
  }
  make_directories(root + "/dev");
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/urandom"}) {
    make_empty_file(root + device);
    require_device(device);
    bind(device, root + device, MS_NOSUID | MS_NOEXEC);
  }
  make_empty_file(root + kStandardInput);
  check(chdir(root.c_str()) == 0, "chdir");
  check(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  check(umount2(".", MNT_DETACH) == 0, "umount of the old root");
  check(chdir("/") == 0, "chdir /");
  check(mount(nullptr, "/", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
              nullptr) == 0,
        "read-only root");
  check(sethostname("weft", 4) == 0, "sethostname");
}

void leave_shared_mounts() { check(unshare(CLONE_NEWNS) == 0, "mount namespace of a job"); }

void mount_scratch(uint32_t megabytes, bool names_input) {
  struct stat input {};
  if (names_input) check(fstat(STDIN_FILENO, &input) == 0, "fstat of standard input");
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t bytes = (int64_t{megabytes} << 20) + (input.st_size + page - 1) / page * page;
  const std::string options = "mode=700,nr_inodes=" + std::to_string(names_input ? 257 : 256) +
                              ",size=" + std::to_string(bytes);
  check(mount("tmpfs", kScratch, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) == 0,
        "mount of a job's scratch");
  if (names_input) name_standard_input();
  check(chdir(kScratch) == 0, "chdir to the scratch");
}

// Each is a mount of its own: the folder around it can be written.
void place_files(int archive, uint32_t num_files) {
  for (uint32_t i = 0; i < num_files; ++i) {
    FileHeader header;
    read_whole(archive, &header, sizeof header);
    const std::string path = std::string(kScratch) + "/" + header.name;
    const int file = open(path.c_str(), O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0444);
    check(file >= 0, "create " + path);
    char chunk[1 << 16];
    for (uint64_t left = header.size; left > 0;) {
      const size_t now = left < sizeof chunk ? static_cast<size_t>(left) : sizeof chunk;
      read_whole(archive, chunk, now);
      check(write(file, chunk, now) == static_cast<ssize_t>(now), "write " + path);
      left -= now;
    }
    close(file);
    bind(path, path, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
  }
}

}  // namespace weft::zygote
