#include "data/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <functional>

#include "base/error.h"

namespace weft {

struct Regex::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

namespace {

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

/// Calls `visit` with the offset pairs of every match until it returns false.
void for_each_match(const pcre2_code* code, std::string_view text,
                    const std::function<bool(const size_t*, uint32_t)>& visit) {
  const MatchData data(pcre2_match_data_create_from_pattern(code, nullptr), &pcre2_match_data_free);
  size_t start = 0;
  while (start <= text.size()) {
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                  start, 0, data.get(), nullptr);
    if (found < 0) return;
    const size_t* offsets = pcre2_get_ovector_pointer(data.get());
    if (!visit(offsets, pcre2_get_ovector_count(data.get()))) return;
    start = offsets[1] > offsets[0] ? offsets[1] : offsets[1] + 1;
  }
}

std::string group_text(std::string_view text, const size_t* offsets, size_t group) {
  if (offsets[2 * group] == PCRE2_UNSET) return "";
  return std::string(text.substr(offsets[2 * group], offsets[2 * group + 1] - offsets[2 * group]));
}

}  // namespace

Regex::Regex(const std::string& pattern) : code_(std::make_unique<Code>()) {
  int error = 0;
  size_t at = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
  if (!code_->code) {
    char reason[256];
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(reason), sizeof reason);
    throw InputError("regular expression \"" + pattern + "\": " + reason + " at " +
                     std::to_string(at));
  }
  pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::optional<std::vector<std::string>> Regex::match(std::string_view text) const {
  std::optional<std::vector<std::string>> groups;
  for_each_match(code_->code, text, [&](const size_t* offsets, uint32_t count) {
    groups.emplace();
    for (size_t g = 0; g < count; ++g) groups->push_back(group_text(text, offsets, g));
    return false;
  });
  return groups;
}

std::vector<std::string> Regex::find_groups(std::string_view text, size_t group) const {
  std::vector<std::string> found;
  for_each_match(code_->code, text, [&](const size_t* offsets, uint32_t) {
    found.push_back(group_text(text, offsets, group));
    return true;
  });
  return found;
}

std::string Regex::replace(std::string_view text, std::string_view with) const {
  std::string result;
  size_t copied = 0;
  for_each_match(code_->code, text, [&](const size_t* offsets, uint32_t) {
    result += text.substr(copied, offsets[0] - copied);
    result += with;
    copied = offsets[1];
    return true;
  });
  result += text.substr(copied);
  return result;
}

}  // namespace weft
