/// The `added_tokens` of a tokenizer: texts that are one token whatever stands around them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace weft {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      ///< hidden by skip_special, and not found when parse_special is off
  bool normalized = false;   ///< looked for in the normalised text, else in the raw one
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool single_word = false;  ///< only where no word character touches it
};

/// An object of `added_tokens` in a tokenizer.json. Throws InputError opening with `where`.
AddedToken read_added_token(const Json& json, const std::string& where);

/// Finds added tokens, leftmost first and longest of those. Immutable; may be used from any thread.
class AddedTokenFinder {
 public:
  /// `tokens` with the text to look for as `content`; empty ones are passed over.
  explicit AddedTokenFinder(const std::vector<AddedToken>& tokens);

  struct Part {
    std::string_view text;
    int32_t id = -1;  ///< -1: ordinary text
  };

  /// Cuts `text` (valid UTF-8) into tokens and the text between them.
  std::vector<Part> find(std::string_view text, bool parse_special) const;

 private:
  struct Node {
    int32_t token = -1;  ///< index in tokens_
    std::vector<std::pair<unsigned char, int32_t>> children;
  };

  /// The longest token that begins at `position`, -1 for none.
  int32_t longest_at(std::string_view text, size_t position) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> trie_;
  std::vector<int32_t> first_;  ///< [256] node of each first byte, -1 for none
};

}  // namespace weft
