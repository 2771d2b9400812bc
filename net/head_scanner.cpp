#include "net/head_scanner.h"

#include <fmt/format.h>

#include "net/options.h"

namespace weft::net {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

HeadScanner::State HeadScanner::scan(std::string_view bytes) {
  while (!refusal_ && !whole_ && position_ < bytes.size()) {
    refusal_ = look_at(bytes[position_]);
    ++position_;
  }
  if (refusal_) return State::kRefused;
  return whole_ ? State::kWhole : State::kMore;
}

std::optional<Refusal> HeadScanner::look_at(char c) {
  if (position_ >= static_cast<size_t>(kMaxHeadBytes)) {
    const int status = num_lines_ == 0 ? 414 : 431;
    return Refusal{status, fmt::format("request head: expected at most {} bytes", kMaxHeadBytes)};
  }
  if (after_cr_ || c == '\n') {
    if (!after_cr_ || c != '\n') return Refusal{400, "request head: a line without CR LF"};
    after_cr_ = false;
    whole_ = line_length_ == 0;
    if (whole_ && num_lines_ == 0) return Refusal{400, "request head: expected a request line"};
    if (++num_lines_ > kMaxHeaders + 1 && !whole_) {
      return Refusal{431, fmt::format("request head: expected at most {} headers", kMaxHeaders)};
    }
    line_length_ = 0;
    return std::nullopt;
  }
  if (c == '\r') {
    after_cr_ = true;
    return std::nullopt;
  }
  const bool blank = c == ' ' || c == '\t';
  if (blank && line_length_ == 0) return Refusal{400, "request head: a line begins with a blank"};
  if (is_control(c) && !(c == '\t' && num_lines_ > 0)) {
    return Refusal{400, "request head: a control character"};
  }
  ++line_length_;
  return std::nullopt;
}

}  // namespace weft::net
