/// The zygote's end of the control socket.
#pragma once

#include <string>

#include "sandbox/zygote/protocol.h"

namespace weft::zygote {

void send_ready(const std::string& what);
void send_failure(uint64_t job, const std::string& step, int error);

/// The child's pid goes as credentials, which the kernel translates for the receiver; that takes a
/// right which a zygote without namespaces has not, and does not need.
void send_started(uint64_t job, int pid, bool has_namespaces);

void send_exited(uint64_t job, int status, int64_t cpu_us, int64_t peak_kb);

constexpr int kMaxFds = 5;

/// Receives one request and its descriptors (channel, stdout, stderr, stdin, files; -1
/// where absent).
/// False at the end of the stream or for a datagram of another shape.
bool receive_request(ControlRequest& request, int (&fds)[kMaxFds]);

}  // namespace weft::zygote
