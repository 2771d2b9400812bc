#include "sandbox/jail/zygote_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "sandbox/jail/remedy.h"

namespace weft {
namespace {

constexpr int kReadTimeoutMs = 10000;  // a zygote that reads nothing for so long is lost

struct Pair {
  Fd ours;
  Fd theirs;
};

Pair make_pair_of_sockets(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) {
    throw Error(with_errno("sandbox: cannot make a socket pair"));
  }
  return {Fd(ends[0]), Fd(ends[1])};
}

Pair make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error(with_errno("sandbox: cannot make a pipe"));
  return {Fd(ends[0]), Fd(ends[1])};
}

void make_non_blocking(const Fd& fd) { fcntl(fd.get(), F_SETFL, O_NONBLOCK); }

Fd file_of(const std::string& text) {
  Fd file(memfd_create("job", MFD_CLOEXEC));
  for (size_t done = 0; file && done < text.size();) {
    const ssize_t now = write(file.get(), text.data() + done, text.size() - done);
    if (now < 0) throw Error(with_errno("sandbox: cannot store a job's input"));
    done += static_cast<size_t>(now);
  }
  if (!file || lseek(file.get(), 0, SEEK_SET) != 0) {
    throw Error(with_errno("sandbox: cannot make a job's input"));
  }
  return file;
}

static_assert(kMaxFileName == kMaxTaskFileName);

std::string archive_of(const std::vector<TaskFile>& files) {
  std::string archive;
  for (const TaskFile& file : files) {
    FileHeader header;
    header.size = file.content.size();
    file.name.copy(header.name, kMaxFileName);
    archive.append(reinterpret_cast<const char*>(&header), sizeof header);
    archive += file.content;
  }
  return archive;
}

int spawn(const ZygoteOptions& options, int control, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions, 0, 2);
  posix_spawn_file_actions_adddup2(&actions, control, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
  std::string name = "weft_zygote", tier = options.tier, modules = options.modules;
  std::string uid = "uid=" + std::to_string(options.uid), workflows = "workflows", bare = "bare";
  std::string packages = "packages=" + options.packages;
  std::string hash_seed = "hash_seed=" + std::to_string(options.hash_seed);
  std::vector<char*> argv = {name.data(), tier.data(), modules.data(), uid.data()};
  if (options.workflows) argv.push_back(workflows.data());
  if (options.bare) argv.push_back(bare.data());
  if (!options.packages.empty()) argv.push_back(packages.data());
  if (options.hash_seed != 0) argv.push_back(hash_seed.data());
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  const int error =
      posix_spawn(pid, options.path.c_str(), &actions, &attributes, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Fd::release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void Fd::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

ZygoteProcess::ZygoteProcess(const ZygoteOptions& options) {
  if (access("/dev/null", R_OK | W_OK) != 0) {
    const int error = errno;
    throw Error(with_errno("sandbox: cannot open /dev/null") +
                "; remedy: " + remedy_for("/dev/null", error));
  }
  Pair control = make_pair_of_sockets(SOCK_SEQPACKET);
  const int on = 1;
  setsockopt(control.ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  // dup2 onto itself would keep close-on-exec.
  if (control.theirs.get() == 3) control.theirs = Fd(fcntl(3, F_DUPFD_CLOEXEC, 10));
  errno = spawn(options, control.theirs.get(), &launcher_);
  if (errno != 0) throw Error(with_errno("sandbox: cannot execute " + options.path));
  control_ = std::move(control.ours);
  make_non_blocking(control_);
}

ZygoteProcess::~ZygoteProcess() {
  control_.reset();
  if (launcher_ <= 0) return;
  ::kill(launcher_, SIGKILL);
  while (waitpid(launcher_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ZygoteProcess::wait_ready(int timeout_ms) {
  pollfd polled{control_.get(), POLLIN, 0};
  Reply reply;
  if (poll(&polled, 1, timeout_ms) <= 0) {
    throw Error("the zygote did not start within " + std::to_string(timeout_ms) + " ms");
  }
  if (receive(reply) != Received::kReply) {
    throw Error("the zygote ended before it was ready");
  }
  const std::string what(reply.body.what, strnlen(reply.body.what, sizeof reply.body.what));
  if (reply.body.kind != ControlReply::Kind::kReady) {
    const int error = reply.body.error;
    const std::string cause = error == 0 ? ""
                                         : std::string(": ") + std::strerror(error) + " (errno " +
                                               std::to_string(error) + ")";
    throw Error("failed at: " + what + cause + "; remedy: " + remedy_for(what, error));
  }
  description_ = what;
}

JobFds ZygoteProcess::start(uint64_t job, const JobSpec& spec) {
  Pair channel = make_pair_of_sockets(SOCK_STREAM);
  Pair out = make_pipe(), err = make_pipe();
  Fd input, files;
  if (spec.input) input = file_of(*spec.input);
  if (spec.files) files = file_of(archive_of(*spec.files));
  ControlRequest request;
  request.job = job;
  request.child = spec.child;
  request.memory_bytes = spec.memory_mb << 20;
  request.cpu_seconds = spec.cpu_seconds;
  request.max_procs = spec.max_procs;
  request.scratch_mb = static_cast<uint32_t>(spec.scratch_mb);
  request.seed = spec.seed;
  request.has_input = spec.input ? 1 : 0;
  request.num_files = spec.files ? static_cast<uint32_t>(spec.files->size()) : 0;

  std::vector<int> fds = {channel.theirs.get(), out.theirs.get(), err.theirs.get()};
  for (const Fd* fd : {&input, &files}) {
    if (*fd) fds.push_back(fd->get());
  }
  const size_t size = sizeof(int) * fds.size();
  iovec part{&request, sizeof request};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int) * 5)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = CMSG_SPACE(size);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(header), fds.data(), size);
  pollfd polled{control_.get(), POLLOUT, 0};
  ssize_t sent;
  do {
    sent = sendmsg(control_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EAGAIN && poll(&polled, 1, kReadTimeoutMs) > 0);
  if (sent != static_cast<ssize_t>(sizeof request)) {
    throw Error(with_errno("sandbox: the zygote takes no job"));
  }
  for (const Fd* fd : {&channel.ours, &out.ours, &err.ours}) make_non_blocking(*fd);
  return {std::move(channel.ours), std::move(out.ours), std::move(err.ours)};
}

bool ZygoteProcess::kill(uint64_t job) {
  ControlRequest request;
  request.kind = ControlRequest::Kind::kKill;
  request.job = job;
  return ::send(control_.get(), &request, sizeof request, MSG_NOSIGNAL) >= 0;
}

ZygoteProcess::Received ZygoteProcess::receive(Reply& reply) {
  iovec part{&reply.body, sizeof reply.body};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(ucred))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  ssize_t got;
  do {
    got = recvmsg(control_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return Received::kNothing;
  if (got != sizeof reply.body || reply.body.magic != kControlMagic) return Received::kClosed;
  reply.pid = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials;
      std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
      reply.pid = credentials.pid;
    }
  }
  if (reply.body.kind == ControlReply::Kind::kStarted && reply.body.status > 0) {
    reply.pid = reply.body.status;
  }
  return Received::kReply;
}

bool ZygoteProcess::is_alive() const {
  pollfd polled{control_.get(), 0, 0};
  return poll(&polled, 1, 0) >= 0 && (polled.revents & (POLLHUP | POLLERR)) == 0;
}

std::optional<int64_t> process_cpu_us(pid_t pid) {
  clockid_t clock;
  timespec time{};
  if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    return std::nullopt;
  }
  return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

}  // namespace weft
