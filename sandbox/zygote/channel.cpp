#include "sandbox/zygote/channel.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weft::zygote {

bool Channel::fill(bool wait) {
  char chunk[1 << 16];
  for (;;) {
    pollfd channel{kChannelFd, POLLIN, 0};
    if (!wait && poll(&channel, 1, 0) == 0) return false;
    const ssize_t got = ::read(kChannelFd, chunk, sizeof chunk);
    if (got > 0) {
      buffer_.append(chunk, static_cast<size_t>(got));
      return true;
    }
    if (got < 0 && errno == EINTR) continue;
    at_end_ = true;
    return false;
  }
}

bool Channel::read(InFrame& frame, bool wait) {
  FrameHeader header;
  for (;;) {
    const size_t have = buffer_.size() - start_;
    if (have >= sizeof header) {
      std::memcpy(&header, buffer_.data() + start_, sizeof header);
      if (have - sizeof header >= header.length) break;
    }
    buffer_.erase(0, start_);
    start_ = 0;
    if (!fill(wait)) return false;
  }
  frame.type = header.type;
  frame.id = header.id;
  frame.body.assign(buffer_, start_ + sizeof header, header.length);
  start_ += sizeof header + header.length;
  return true;
}

void Channel::write(FrameType type, uint32_t id, std::string_view body) {
  const FrameHeader header{static_cast<uint32_t>(body.size()), type, id};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += body;
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t now = ::write(kChannelFd, bytes.data() + sent, bytes.size() - sent);
    if (now < 0 && errno != EINTR) _exit(3);
    if (now > 0) sent += static_cast<size_t>(now);
  }
}

}  // namespace weft::zygote
