#include "model/tokenizer/scanner.h"

#include "model/tokenizer/unicode.h"

namespace weft {

const std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kO200kRegex =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

namespace {

struct ClassAt {
  CharClass kind;
  size_t next;
};

ClassAt class_at(std::string_view text, size_t position) {
  const Utf8Char c = decode_utf8(text, position);
  return {char_class(c.code), position + c.length};
}

size_t skip_class(std::string_view text, size_t position, CharClass kind) {
  while (position < text.size()) {
    const ClassAt here = class_at(text, position);
    if (here.kind != kind) break;
    position = here.next;
  }
  return position;
}

bool is_newline(char c) { return c == '\r' || c == '\n'; }

// \s+(?!\S)|\s+ : a run of spaces before a word gives its last one back.
size_t space_end(std::string_view text, size_t begin) {
  size_t end = begin, last = begin;
  while (end < text.size()) {
    const ClassAt here = class_at(text, end);
    if (here.kind != CharClass::kSpace) break;
    last = end;
    end = here.next;
  }
  return end < text.size() && last > begin ? last : end;
}

// 's|'t|'re|'ve|'m|'ll|'d at an apostrophe; 0 if none. Without case, U+017F is an s.
size_t contraction_end(std::string_view text, size_t begin, bool ignore_case) {
  const auto at = [&](size_t i) -> char {
    if (begin + i >= text.size()) return 0;
    const char c = text[begin + i];
    return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char a = at(1), b = at(2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return begin + 2;
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return begin + 3;
  if (ignore_case && a == '\xC5' && b == '\xBF') return begin + 3;
  return 0;
}

struct Gpt2Rule {
  static size_t piece_end(std::string_view text, size_t begin) {
    if (text[begin] == '\'') {
      if (const size_t end = contraction_end(text, begin, false)) return end;
    }
    const size_t start = begin + (text[begin] == ' ' ? 1 : 0);
    if (start == text.size()) return start;
    const ClassAt first = class_at(text, start);
    if (first.kind == CharClass::kSpace) return space_end(text, begin);
    return skip_class(text, first.next, first.kind);
  }
};

template <int kMaxDigits>
struct Qwen2Rule {
  static size_t piece_end(std::string_view text, size_t begin) {
    const char c = text[begin];
    if (c == '\'') {
      if (const size_t end = contraction_end(text, begin, true)) return end;
    }
    const ClassAt first = class_at(text, begin);
    if (first.kind == CharClass::kLetter) return skip_class(text, first.next, first.kind);
    if (first.kind == CharClass::kNumber) return digits_end(text, first.next);
    if (!is_newline(c) && first.next < text.size()) {
      const ClassAt second = class_at(text, first.next);
      if (second.kind == CharClass::kLetter) return skip_class(text, second.next, second.kind);
      if (c == ' ' && second.kind == CharClass::kOther) return symbols_end(text, second.next);
    }
    if (first.kind == CharClass::kOther) return symbols_end(text, first.next);
    return blank_end(text, begin);
  }

 private:
  static size_t digits_end(std::string_view text, size_t end) {
    for (int count = 1; count < kMaxDigits && end < text.size(); ++count) {
      const ClassAt here = class_at(text, end);
      if (here.kind != CharClass::kNumber) break;
      end = here.next;
    }
    return end;
  }

  static size_t symbols_end(std::string_view text, size_t end) {
    end = skip_class(text, end, CharClass::kOther);
    while (end < text.size() && is_newline(text[end])) ++end;
    return end;
  }

  // \s*[\r\n]+ takes a run of spaces up to its last line end.
  static size_t blank_end(std::string_view text, size_t begin) {
    const size_t end = skip_class(text, begin, CharClass::kSpace);
    for (size_t i = end; i > begin; --i) {
      if (is_newline(text[i - 1])) return i;
    }
    return space_end(text, begin);
  }
};

template <class Rule>
class HandScanner : public Scanner {
 public:
  void scan(std::string_view text, std::vector<Span>& spans) const override {
    spans.clear();
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = Rule::piece_end(text, begin);
      spans.push_back({begin, end, true});
      begin = end;
    }
  }
};

class LiteralScanner : public Scanner {
 public:
  explicit LiteralScanner(std::string literal) : literal_(std::move(literal)) {}

  void scan(std::string_view text, std::vector<Span>& spans) const override {
    spans.clear();
    size_t done = 0;
    while (!literal_.empty()) {
      const size_t found = text.find(literal_, done);
      if (found == std::string_view::npos) break;
      if (found > done) spans.push_back({done, found, false});
      done = found + literal_.size();
      spans.push_back({found, done, true});
    }
    if (done < text.size()) spans.push_back({done, text.size(), false});
  }

 private:
  std::string literal_;
};

}  // namespace

std::unique_ptr<Scanner> make_scanner(const std::string& regex, const std::string& where) {
  if (regex == kGpt2Regex) return std::make_unique<HandScanner<Gpt2Rule>>();
  if (regex == kQwen2Regex) return std::make_unique<HandScanner<Qwen2Rule<1>>>();
  if (regex == kLlama3Regex) return std::make_unique<HandScanner<Qwen2Rule<3>>>();
  return make_pcre2_scanner(regex, where);
}

std::unique_ptr<Scanner> make_literal_scanner(const std::string& literal) {
  return std::make_unique<LiteralScanner>(literal);
}

}  // namespace weft
