#include "model/tokenizer/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/python_string.h"
#include "base/utf8.h"
#include "model/tokenizer/jinja/string_literal.h"

namespace weft::jinja {

using namespace python;
namespace {

constexpr std::array<std::string_view, 25> kOperators = {
    "==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<",
    ">",  "=",  "(",  ")",  "[",  "]",  "{", "}", ".", ",", ":", "|"};

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)); }

std::string with_plain_line_ends(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : owned_(with_plain_line_ends(source)), source_(owned_) {}

  std::vector<Token> run() {
    if (!is_valid_utf8(source_)) fail("expected UTF-8");
    while (at_ < source_.size()) {
      const size_t tag = next_tag(at_);
      read_text(tag);
      if (tag < source_.size()) read_tag();
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
    const std::string_view passed = source_.substr(at_, count);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    at_ += passed.size();
  }

  void skip_space() { advance(space_size(at_)); }

  size_t space_size(size_t from) const {
    const std::string_view rest = source_.substr(from);
    size_t size = 0;
    while (size < rest.size()) {
      const Utf8Char c = decode_utf8(rest, size);
      if (!is_space(c.code)) break;
      size += static_cast<size_t>(c.length);
    }
    return size;
  }

  size_t next_tag(size_t from) const {
    for (size_t i = source_.find('{', from); i != std::string_view::npos;
         i = source_.find('{', i + 1)) {
      if (i + 1 >= source_.size()) break;
      const char next = source_[i + 1];
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return source_.size();
  }

  // Text up to a tag, less what the mark of the tag takes away. What the tag before it takes has
  // been skipped.
  void read_text(size_t tag) {
    std::string_view text = source_.substr(at_, tag - at_);
    const bool line_begins = at_ == 0 || source_[at_ - 1] == '\n';
    if (tag < source_.size()) text = less_indent(text, tag, line_begins);
    if (!text.empty()) push(TokenKind::kText, std::string(text));
    advance(tag - at_);
  }

  std::string_view less_indent(std::string_view text, size_t tag, bool line_begins) const {
    const char mark = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (mark == '-') return strip(text, false, true);
    if (mark == '+' || source_[tag + 1] == '{') return text;
    const size_t line = text.rfind('\n') + 1;  // 0 where there is none
    if (line == 0 && !line_begins) return text;
    return strip(text.substr(line), true, false).empty() ? text.substr(0, line) : text;
  }

  // The end of a block or comment, "%}" or "#}", with a mark before it; 0 when it is not here.
  size_t end_size(std::string_view close) const {
    const size_t mark = peek() == '-' || peek() == '+' ? 1 : 0;
    return source_.substr(at_ + mark).starts_with(close) ? mark + close.size() : 0;
  }

  void skip_end(size_t size) {
    const char mark = peek();
    advance(size);
    if (mark == '-') {
      skip_space();
    } else if (mark != '+' && peek() == '\n') {
      advance(1);
    }
  }

  void read_tag() {
    const char kind = peek(1);
    const bool marked = peek(2) == '-' || peek(2) == '+';
    if (kind == '%' && read_raw()) return;
    advance(marked ? 3 : 2);
    if (kind == '#') return read_comment();
    push(kind == '{' ? TokenKind::kOutputBegin : TokenKind::kBlockBegin, "");
    while (!read_end(kind)) {
      if (at_ >= source_.size()) fail("the tag has no end");
      read_token();
    }
    if (!open_.empty()) fail(std::string("expected '") + open_.back() + "'");
  }

  bool read_end(char kind) {
    skip_space();
    if (!open_.empty()) return false;
    if (kind == '%') {
      const size_t size = end_size("%}");
      if (size == 0) return false;
      push(TokenKind::kBlockEnd, "");
      skip_end(size);
      return true;
    }
    const bool dash = starts("-}}");
    if (!dash && !starts("}}")) return false;
    push(TokenKind::kOutputEnd, "");
    advance(dash ? 3 : 2);
    if (dash) skip_space();
    return true;
  }

  void read_comment() {
    while (end_size("#}") == 0) {
      if (at_ >= source_.size()) fail("the comment has no end");
      const size_t next = source_.find_first_of("-+#", at_ + 1);
      advance(std::min(next, source_.size()) - at_);
    }
    skip_end(end_size("#}"));
  }

  // {% raw %}text{% endraw %}
  bool read_raw() {
    const size_t size = block_size(at_, "raw");
    if (size == 0) return false;
    const bool dash = source_[at_ + size - 3] == '-';
    advance(size);
    if (dash) skip_space();
    size_t end = next_tag(at_);
    while (end < source_.size() && block_size(end, "endraw") == 0) end = next_tag(end + 1);
    if (end >= source_.size()) fail("the raw block has no end");
    read_text(end);
    const size_t end_tag = block_size(at_, "endraw");
    const size_t close =
        source_[at_ + end_tag - 3] == '-' || source_[at_ + end_tag - 3] == '+' ? 3 : 2;
    advance(end_tag - close);
    skip_end(close);
    return true;
  }

  // Bytes of the tag {% name %} at `begin`; 0 when it is another one.
  size_t block_size(size_t begin, std::string_view name) const {
    const std::string_view rest = source_.substr(begin);
    if (!rest.starts_with("{%")) return 0;
    size_t at = 2;
    if (at < rest.size() && (rest[at] == '-' || rest[at] == '+')) ++at;
    at += space_size(begin + at);
    if (!rest.substr(at).starts_with(name)) return 0;
    at += name.size();
    at += space_size(begin + at);
    if (at < rest.size() && (rest[at] == '-' || (rest[at] == '+' && name == "endraw"))) ++at;
    return rest.substr(at).starts_with("%}") ? at + 2 : 0;
  }

  void read_token() {
    const char c = peek();
    if (c == '"' || c == '\'') return read_string(c);
    if (is_digit(c)) return read_number();
    if (is_name_char(c)) {
      size_t size = 1;
      while (is_name_char(peek(size))) ++size;
      push(TokenKind::kName, std::string(source_.substr(at_, size)));
      return advance(size);
    }
    for (const std::string_view op : kOperators) {
      if (!starts(op)) continue;
      balance(op);
      push(TokenKind::kOperator, std::string(op));
      return advance(op.size());
    }
    fail(std::string("unexpected character '") + c + "'");
  }

  void balance(std::string_view op) {
    static constexpr std::string_view kOpen = "([{", kClose = ")]}";
    const size_t opened = kOpen.find(op);
    if (opened != std::string_view::npos) {
      open_ += kClose[opened];
    } else if (kClose.find(op) != std::string_view::npos) {
      if (open_.empty() || open_.back() != op[0]) fail("unexpected '" + std::string(op) + "'");
      open_.pop_back();
    }
  }

  // Digits with single underscores between them, from `size` on.
  size_t digits_end(size_t size) const {
    while (is_digit(peek(size)) || (peek(size) == '_' && is_digit(peek(size + 1)))) ++size;
    return size;
  }

  void read_number() {
    const char base = static_cast<char>(std::tolower(peek(1)));
    if (peek() == '0' && (base == 'x' || base == 'o' || base == 'b')) {
      fail("integers of another base than 10 are not known here");
    }
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const size_t whole = digits_end(1);
    size_t size = whole;
    if (!after_dot) {
      if (peek(size) == '.' && is_digit(peek(size + 1))) size = digits_end(size + 1);
      if (peek(size) == 'e' || peek(size) == 'E') {
        const size_t sign = peek(size + 1) == '-' || peek(size + 1) == '+' ? 1 : 0;
        if (is_digit(peek(size + 1 + sign))) size = digits_end(size + 1 + sign);
      }
    }
    std::string text(source_.substr(at_, size));
    std::erase(text, '_');
    if (size == whole && text[0] == '0' && text.find_first_not_of('0') != std::string::npos) {
      fail("an integer begins with 0");
    }
    push(size > whole ? TokenKind::kFloat : TokenKind::kInteger, std::move(text));
    advance(size);
  }

  void read_string(char quote) {
    size_t size = 1;
    while (at_ + size < source_.size() && peek(size) != quote) size += peek(size) == '\\' ? 2 : 1;
    if (at_ + size >= source_.size()) fail("the string has no end");
    try {
      push(TokenKind::kString, unescaped(source_.substr(at_ + 1, size - 1)));
    } catch (const InputError& error) {
      fail(error.what());
    }
    advance(size + 1);
  }

  std::string owned_;
  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  std::string open_;  // brackets that wait for their end
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace weft::jinja
