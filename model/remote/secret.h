/// An API key, and every text that would give it away.
#pragma once

#include <string>
#include <vector>

namespace weft {

/// Immutable.
class Secret {
 public:
  Secret() = default;

  /// Without the white space around it, as files and shells leave it. Throws InputError naming
  /// `where`, never the key, when it is empty or holds a control character, which would split the
  /// headers of a request.
  Secret(const std::string& key, const std::string& where);

  /// The key in the environment variable `name`; no key for an empty name. Throws InputError when
  /// the variable is not set.
  static Secret from_environment(const std::string& name);

  const std::string& key() const { return key_; }

  /// The text with "***" for the key as it is, percent-encoded, JSON-escaped and in base64.
  std::string scrub(std::string text) const;

 private:
  std::string key_;
  std::vector<std::string> spellings_;  ///< longest first
};

}  // namespace weft
