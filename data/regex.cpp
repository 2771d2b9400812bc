#include "data/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <functional>

#include "base/error.h"
#include "base/utf8.h"

namespace weft {

struct Regex::Code {
  std::string pattern;
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

namespace {

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

std::string message_of(int error) {
  char text[256];
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof text);
  return text;
}

/// Text as PCRE2 may take it unchecked, so that it is looked through once and not at every match.
class ValidText {
 public:
  explicit ValidText(std::string_view text) : view_(text) {
    if (!is_valid_utf8(text)) view_ = repaired_ = to_valid_utf8(text);
  }
  std::string_view view() const { return view_; }

 private:
  std::string repaired_;
  std::string_view view_;
};

/// Calls `visit` with the offset pairs of every match until it returns false.
void for_each_match(const pcre2_code* code, const std::string& pattern, std::string_view text,
                    const std::function<bool(const size_t*, uint32_t)>& visit) {
  const MatchData data(pcre2_match_data_create_from_pattern(code, nullptr), &pcre2_match_data_free);
  const auto match = [&](size_t start, uint32_t options) {
    return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), start,
                       PCRE2_NO_UTF_CHECK | options, data.get(), nullptr);
  };
  size_t start = 0;
  while (start <= text.size()) {
    int found = match(start, 0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(start, PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0) throw Error("regular expression \"" + pattern + "\": " + message_of(found));
    const size_t* offsets = pcre2_get_ovector_pointer(data.get());
    if (!visit(offsets, pcre2_get_ovector_count(data.get()))) return;
    start = offsets[1];
    if (offsets[1] > offsets[0]) continue;
    start += start < text.size() ? static_cast<size_t>(decode_utf8(text, start).length) : 1;
  }
}

std::string group_text(std::string_view text, const size_t* offsets, size_t group) {
  if (offsets[2 * group] == PCRE2_UNSET) return "";
  return std::string(text.substr(offsets[2 * group], offsets[2 * group + 1] - offsets[2 * group]));
}

}  // namespace

Regex::Regex(const std::string& pattern) : code_(std::make_unique<Code>()) {
  code_->pattern = pattern;
  int error = 0;
  size_t at = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
  if (!code_->code) {
    throw InputError("regular expression \"" + pattern + "\": " + message_of(error) + " at " +
                     std::to_string(at));
  }
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::optional<std::vector<std::string>> Regex::match(std::string_view input) const {
  const ValidText valid(input);
  const std::string_view text = valid.view();
  std::optional<std::vector<std::string>> groups;
  for_each_match(code_->code, code_->pattern, text, [&](const size_t* offsets, uint32_t count) {
    groups.emplace();
    for (size_t g = 0; g < count; ++g) groups->push_back(group_text(text, offsets, g));
    return false;
  });
  return groups;
}

std::vector<std::string> Regex::find_groups(std::string_view input, size_t group) const {
  const ValidText valid(input);
  const std::string_view text = valid.view();
  std::vector<std::string> found;
  for_each_match(code_->code, code_->pattern, text, [&](const size_t* offsets, uint32_t) {
    found.push_back(group_text(text, offsets, group));
    return true;
  });
  return found;
}

std::string Regex::replace(std::string_view input, std::string_view with) const {
  const ValidText valid(input);
  const std::string_view text = valid.view();
  std::string result;
  size_t copied = 0;
  for_each_match(code_->code, code_->pattern, text, [&](const size_t* offsets, uint32_t) {
    result += text.substr(copied, offsets[0] - copied);
    result += with;
    copied = offsets[1];
    return true;
  });
  result += text.substr(copied);
  return result;
}

}  // namespace weft
