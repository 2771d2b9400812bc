#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "base/error.h"
#include "model/tokenizer/scanner.h"
#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

constexpr std::string_view kWhiteSpace =
    R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// PCRE2 counts U+180E as a space; the explicit class does not.
std::string with_explicit_spaces(const std::string& regex, const std::string& where) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < regex.size(); ++i) {
    const char c = regex[i];
    const char next = i + 1 < regex.size() ? regex[i + 1] : '\0';
    if (c == '\\' && (next == 's' || next == 'S')) {
      if (in_class && next == 'S') {
        throw InputError(where + ": regular expression " + regex +
                         ": \\S inside [] is unknown here");
      }
      if (!in_class) out += next == 's' ? "[" : "[^";
      out += kWhiteSpace;
      if (!in_class) out += ']';
      ++i;
    } else if (c == '\\') {
      out += c;
      if (i + 1 < regex.size()) out += regex[++i];
    } else {
      if (c == '[') in_class = true;
      if (c == ']') in_class = false;
      out += c;
    }
  }
  return out;
}

template <auto kFree>
struct Release {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using Code = std::unique_ptr<pcre2_code, Release<&pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Release<&pcre2_match_data_free>>;

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 160> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

class Pcre2Scanner : public Scanner {
 public:
  Pcre2Scanner(const std::string& regex, const std::string& where) {
    const std::string pattern = with_explicit_spaces(regex, where);
    int error = 0;
    PCRE2_SIZE at = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
    if (!code_) {
      throw InputError(where + ": regular expression " + regex + ": " + pcre2_message(error));
    }
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
  }

  void scan(std::string_view text, std::vector<Span>& spans) const override {
    spans.clear();
    const MatchData match(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    size_t done = 0;
    for (size_t at = 0; at < text.size();) {
      if (!find(text, at, match.get())) break;
      const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.get());
      if (bounds[1] == bounds[0]) {
        at = bounds[1] + (bounds[1] < text.size() ? decode_utf8(text, bounds[1]).length : 1);
        continue;
      }
      if (bounds[0] > done) spans.push_back({done, bounds[0], false});
      spans.push_back({bounds[0], bounds[1], true});
      done = at = bounds[1];
    }
    if (done < text.size()) spans.push_back({done, text.size(), false});
  }

 private:
  bool find(std::string_view text, size_t at, pcre2_match_data* match) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int found =
        pcre2_match(code_.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK, match, nullptr);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(code_.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                          match, nullptr);
    }
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
      throw Error("pre-tokenizer: regular expression failed: " + pcre2_message(found));
    }
    return found >= 0;
  }

  Code code_;
};

}  // namespace

std::unique_ptr<Scanner> make_pcre2_scanner(const std::string& regex, const std::string& where) {
  return std::make_unique<Pcre2Scanner>(regex, where);
}

}  // namespace weft
