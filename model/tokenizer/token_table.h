/// What ids stand for, and the step back from ids to text that both kinds of tokenizer share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"

namespace weft {

struct TokenEntry {
  std::string content;   ///< as the tokenizer's file writes it
  std::string bytes;     ///< what it stands for in a text
  bool present = false;  ///< ids may have holes
  bool special = false;
  bool fallback_byte = false;  ///< <0xNN>
};

/// The `decoder` of a tokenizer.json.
struct DecoderRules {
  bool byte_level = true;  ///< the 256 printable stand-ins of GPT-2 for bytes
  std::vector<std::pair<std::string, std::string>> replacements;  ///< else: in each token
  bool byte_fallback = false;                                     ///< else: tokens <0xNN> are bytes
  std::string strip_text;  ///< dropped from the ends of the whole text
  int strip_start = 0;     ///< at most so often
  int strip_stop = 0;
  std::string first_drops;  ///< left out of the first token wherever it stands (Metaspace)
  bool joined = false;      ///< by spaces: there is no decoder

  /// Knows ByteLevel, Metaspace, Sequence of Replace, ByteFallback, Fuse, Strip in this order, and
  /// null. Throws InputError naming any other component.
  static DecoderRules from_json(const Json& json, const std::string& where);

  /// sentencepiece's own rules.
  static DecoderRules sentencepiece(bool dummy_prefix);
};

/// Bytes that a byte-level token stands for; false if some character is none of the 256 stand-ins.
bool byte_level_to_bytes(std::string_view token, std::string& bytes);

/// The stand-in of a byte, as UTF-8.
std::string byte_level_char(unsigned char byte);

class TokenTable {
 public:
  TokenTable() = default;
  explicit TokenTable(DecoderRules rules) : rules_(std::move(rules)) {}

  /// Throws InputError when the id is negative or absurdly large. A later token of the same id
  /// replaces the earlier one.
  void add(int32_t id, std::string content, bool special, const std::string& where);

  /// nullptr for an id that is no token.
  const TokenEntry* find(int32_t id) const;

  /// -1 when no token has this content.
  int32_t id_of(std::string_view content) const;

  int32_t size() const { return static_cast<int32_t>(entries_.size()); }
  const DecoderRules& rules() const { return rules_; }
  /// What an id stands for at the beginning of a text; empty for one that is no token.
  std::string first_bytes(int32_t id) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const;

 private:
  std::string strip(std::string text) const;

  DecoderRules rules_;
  std::vector<TokenEntry> entries_;
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace weft
