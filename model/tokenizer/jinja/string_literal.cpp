#include "model/tokenizer/jinja/string_literal.h"

#include "base/error.h"
#include "base/utf8.h"
#include "model/tokenizer/unicode.h"

namespace weft::jinja {
namespace {

class Unescaper {
 public:
  explicit Unescaper(std::string_view source) : source_(source) {}

  std::string run() {
    while (at_ < source_.size()) {
      if (source_[at_] == '\\') {
        ++at_;
        escape();
      } else {
        out_ += source_[at_++];
      }
    }
    return std::move(out_);
  }

 private:
  void append(unsigned long code) {
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      throw InputError("an escape in a string is no character");
    }
    append_utf8(out_, static_cast<char32_t>(code));
  }

  void escape() {
    static constexpr std::string_view kNames = "ntrbfva\\'\"";
    static constexpr std::string_view kValues = "\n\t\r\b\f\v\a\\'\"";
    const char c = at_ < source_.size() ? source_[at_] : '\0';
    const size_t known = kNames.find(c);
    if (c == 'x' || c == 'u' || c == 'U') {
      ++at_;
      append(digits(c == 'x' ? 2 : c == 'u' ? 4 : 8));
    } else if (known != std::string_view::npos) {
      out_ += kValues[known];
      ++at_;
    } else if (c >= '0' && c <= '7') {
      unsigned long code = 0;
      for (int i = 0; i < 3 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7';
           ++i) {
        code = code * 8 + static_cast<unsigned long>(source_[at_++] - '0');
      }
      append(code);
    } else if (c == '\n') {
      ++at_;  // the line goes on
    } else if (c == 'N' || static_cast<unsigned char>(c) >= 0x80) {
      throw InputError("this escape in a string is not known here");
    } else {
      out_ += '\\';
    }
  }

  unsigned long digits(size_t count) {
    const std::string hex(source_.substr(at_, count));
    if (hex.size() < count ||
        hex.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      throw InputError("broken escape in a string");
    }
    at_ += count;
    return std::stoul(hex, nullptr, 16);
  }

  std::string_view source_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string unescaped(std::string_view source) { return Unescaper(source).run(); }

}  // namespace weft::jinja
