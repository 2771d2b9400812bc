/// Frames on the job's channel, from the child's side. Blocking.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/zygote/protocol.h"

namespace weft::zygote {

struct InFrame {
  FrameType type = FrameType::kEnd;
  uint32_t id = 0;
  std::string body;
};

class Channel {
 public:
  /// False at the end of the stream, or with `wait` false when no whole frame has arrived.
  bool read(InFrame& frame, bool wait = true);

  /// Ends the process where the channel is gone.
  void write(FrameType type, uint32_t id, std::string_view body);

  bool at_end() const { return at_end_; }

 private:
  bool fill(bool wait);

  std::string buffer_;
  size_t start_ = 0;
  bool at_end_ = false;
};

}  // namespace weft::zygote
