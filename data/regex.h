/// Regular expressions with Perl's syntax over UTF-8, by PCRE2.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// A compiled pattern; may be shared by threads. Invalid bytes of a text count as U+FFFD. Every
/// method takes time linear in the text where the pattern itself does, and throws Error when the
/// pattern backtracks beyond PCRE2's limit: no match is never a guess.
class Regex {
 public:
  /// Throws InputError naming pattern and fault.
  explicit Regex(const std::string& pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// Groups of the first match, the whole match first; unset groups are "".
  std::optional<std::vector<std::string>> match(std::string_view text) const;

  /// Every match, left to right, none overlapping.
  std::vector<std::string> find_all(std::string_view text) const { return find_groups(text, 0); }

  /// The given group of every match.
  std::vector<std::string> find_groups(std::string_view text, size_t group) const;

  /// `text` with every match replaced by `with`, taken literally.
  std::string replace(std::string_view text, std::string_view with) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace weft
