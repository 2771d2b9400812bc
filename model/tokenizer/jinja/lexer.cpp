#include "model/tokenizer/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "model/tokenizer/unicode.h"

namespace weft::jinja {
namespace {

constexpr std::array<std::string_view, 26> kOperators = {
    "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<",
    ">",  "=",  "(",  ")",  "[",  "]",  "{", "}", ".", ",", ":", "|", ";"};

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

std::string strip_left(std::string text) {
  const size_t first = text.find_first_not_of(" \t\r\n\v\f");
  return first == std::string::npos ? std::string() : text.substr(first);
}

std::string strip_right(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n\v\f") + 1);
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag();
      read_text(tag);
      if (tag == std::string_view::npos) break;
      read_tag();
    }
    push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError("chat template, line " + std::to_string(line_) + ": " + what);
  }

  char peek(size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  bool starts(std::string_view text) const { return source_.substr(at_).starts_with(text); }

  void push(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void advance(size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count),
                                         '\n'));
    at_ += count;
  }

  size_t next_tag() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i) {
      const char next = source_[i + 1];
      if (source_[i] == '{' && (next == '{' || next == '%' || next == '#')) return i;
    }
    return std::string_view::npos;
  }

  // Text up to a tag, less what the marks of the tags around it take away.
  void read_text(size_t tag) {
    const size_t end = std::min(tag, source_.size());
    std::string text(source_.substr(at_, end - at_));
    if (trim_newline_ && text.starts_with('\n')) text.erase(0, 1);
    if (strip_next_) text = strip_left(std::move(text));
    if (tag != std::string_view::npos) {
      const char mark = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
      if (mark == '-') {
        text = strip_right(std::move(text));
      } else if (source_[tag + 1] != '{' && mark != '+') {
        strip_indent(text, tag);
      }
    } else if (text.ends_with('\n')) {
      text.pop_back();  // keep_trailing_newline is off
    }
    if (!text.empty()) push(TokenKind::kText, std::move(text));
    advance(end - at_);
    trim_newline_ = strip_next_ = false;
  }

  // lstrip_blocks: spaces before a block that begins its line.
  void strip_indent(std::string& text, size_t tag) const {
    size_t begin = tag;
    while (begin > 0 && (source_[begin - 1] == ' ' || source_[begin - 1] == '\t')) --begin;
    if (begin > 0 && source_[begin - 1] != '\n') return;
    text.erase(text.size() - std::min(text.size(), tag - begin));
  }

  void read_tag() {
    const char kind = peek(1);
    if (kind == '#') return read_comment();
    advance(2);
    if (peek() == '-' || peek() == '+') advance(1);
    const std::string_view close = kind == '{' ? "}}" : "%}";
    push(kind == '{' ? TokenKind::kOutputBegin : TokenKind::kBlockBegin, "");
    for (int depth = 0;;) {
      while (std::isspace(static_cast<unsigned char>(peek()))) advance(1);
      if (at_ >= source_.size()) fail("the tag has no end");
      const bool dash = peek() == '-' && source_.substr(at_ + 1).starts_with(close);
      if (depth == 0 && (dash || starts(close))) {
        push(kind == '{' ? TokenKind::kOutputEnd : TokenKind::kBlockEnd, "");
        advance(dash ? 3 : 2);
        strip_next_ = dash;
        trim_newline_ = !dash && kind == '%';
        return;
      }
      const char c = peek();
      if (c == '(' || c == '[' || c == '{') ++depth;
      if (c == ')' || c == ']' || c == '}') --depth;
      read_token();
    }
  }

  void read_comment() {
    const size_t end = source_.find("#}", at_ + 2);
    if (end == std::string_view::npos) fail("the comment has no end");
    strip_next_ = source_[end - 1] == '-';
    trim_newline_ = !strip_next_;
    advance(end + 2 - at_);
  }

  void read_token() {
    const char c = peek();
    if (c == '"' || c == '\'') return read_string(c);
    if (std::isdigit(static_cast<unsigned char>(c))) return read_number();
    if (is_name_char(c)) {
      size_t size = 1;
      while (is_name_char(peek(size))) ++size;
      push(TokenKind::kName, std::string(source_.substr(at_, size)));
      return advance(size);
    }
    for (const std::string_view op : kOperators) {
      if (!starts(op)) continue;
      push(TokenKind::kOperator, std::string(op));
      return advance(op.size());
    }
    fail(std::string("unexpected character '") + c + "'");
  }

  size_t digits_end(size_t size) const {
    while (std::isdigit(static_cast<unsigned char>(peek(size)))) ++size;
    return size;
  }

  void read_number() {
    const size_t whole = digits_end(1);
    size_t size = whole;
    if (peek(size) == '.' && digits_end(size + 1) > size + 1) size = digits_end(size + 1);
    if (peek(size) == 'e' || peek(size) == 'E') {
      const size_t sign = peek(size + 1) == '-' || peek(size + 1) == '+' ? 1 : 0;
      if (digits_end(size + 1 + sign) > size + 1 + sign) size = digits_end(size + 1 + sign);
    }
    push(size > whole ? TokenKind::kFloat : TokenKind::kInteger,
         std::string(source_.substr(at_, size)));
    advance(size);
  }

  void read_string(char quote) {
    std::string text;
    advance(1);
    for (; peek() != quote; advance(1)) {
      if (at_ >= source_.size()) fail("the string has no end");
      if (peek() != '\\') {
        text += peek();
        continue;
      }
      advance(1);
      append_escape(text);
    }
    advance(1);
    push(TokenKind::kString, std::move(text));
  }

  void append_escape(std::string& text) {
    static constexpr std::string_view kNames = "ntrbfva0";
    static constexpr std::string_view kValues("\n\t\r\b\f\v\a\0", 8);
    const char c = peek();
    const size_t known = kNames.find(c);
    if (c == 'u' || c == 'x') {
      const size_t digits = c == 'u' ? 4 : 2;
      const std::string hex(source_.substr(at_ + 1, digits));
      const bool valid = hex.size() == digits &&
                         hex.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
      if (!valid) fail("broken escape in a string");
      append_utf8(text, static_cast<char32_t>(std::stoul(hex, nullptr, 16)));
      advance(digits);
    } else if (known != std::string_view::npos) {
      text += kValues[known];
    } else if (c == '\\' || c == '\'' || c == '"') {
      text += c;
    } else {
      text += '\\';
      text += c;
    }
  }

  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool trim_newline_ = false;
  bool strip_next_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace weft::jinja
