#include "sandbox/zygote/control.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace weft::zygote {
namespace {

void send(const ControlReply& reply) {
  while (::send(kControlFd, &reply, sizeof reply, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

}  // namespace

void send_ready(const std::string& what) {
  ControlReply reply;
  reply.kind = ControlReply::Kind::kReady;
  what.copy(reply.what, sizeof reply.what - 1);
  send(reply);
}

void send_failure(uint64_t job, const std::string& step, int error) {
  ControlReply reply;
  reply.kind = ControlReply::Kind::kFailed;
  reply.job = job;
  reply.error = error;
  step.copy(reply.what, sizeof reply.what - 1);
  send(reply);
}

void send_started(uint64_t job, int pid, bool has_namespaces) {
  ControlReply reply;
  reply.kind = ControlReply::Kind::kStarted;
  reply.job = job;
  if (!has_namespaces) {
    reply.status = pid;
    return send(reply);
  }
  iovec part{&reply, sizeof reply};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(ucred))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_CREDENTIALS;
  header->cmsg_len = CMSG_LEN(sizeof(ucred));
  const ucred credentials{pid, getuid(), getgid()};
  std::memcpy(CMSG_DATA(header), &credentials, sizeof credentials);
  if (sendmsg(kControlFd, &message, MSG_NOSIGNAL) < 0) {
    send_failure(job, "credentials of the child", errno);
  }
}

void send_exited(uint64_t job, int status, int64_t cpu_us, int64_t peak_kb) {
  ControlReply reply;
  reply.kind = ControlReply::Kind::kExited;
  reply.job = job;
  reply.status = status;
  reply.cpu_us = cpu_us;
  reply.peak_kb = peak_kb;
  send(reply);
}

bool receive_request(ControlRequest& request, int (&fds)[kMaxFds]) {
  std::fill(std::begin(fds), std::end(fds), -1);
  iovec part{&request, sizeof request};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof fds)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  ssize_t got;
  do {
    got = recvmsg(kControlFd, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      std::memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
    }
  }
  if (got != sizeof request || request.magic != kControlMagic) return false;
  if (!request.has_input) std::swap(fds[3], fds[4]);
  return true;
}

}  // namespace weft::zygote
