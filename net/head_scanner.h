/// Finds where a request's head ends, while it arrives, and refuses what parsers read differently.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "net/message.h"

namespace weft::net {

/// For one head.
class HeadScanner {
 public:
  enum class State { kMore, kWhole, kRefused };

  /// `bytes` are all that have come since the head's first; each is looked at once. Refused:
  /// control characters other than tabs in header fields, lines that end otherwise than in CR LF,
  /// folded header fields, more than kMaxHeaders of them (431), more than kMaxHeadBytes (431, and
  /// 414 in the request line).
  ///
  /// Source: RFC 9112 sections 2.2 and 5.2, where each of these may be refused.
  State scan(std::string_view bytes);

  /// Of the whole head, its empty line included.
  size_t size() const { return position_; }

  /// Why scan() has refused.
  const Refusal& refusal() const { return *refusal_; }

 private:
  std::optional<Refusal> look_at(char c);

  size_t position_ = 0;     // bytes looked at
  size_t line_length_ = 0;  // of the line so far, without CR
  int num_lines_ = 0;       // before this one
  bool after_cr_ = false;
  bool whole_ = false;
  std::optional<Refusal> refusal_;
};

}  // namespace weft::net
