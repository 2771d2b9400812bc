#include "model/tokenizer/added_tokens.h"

#include <algorithm>

#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word_char(decode_utf8(text, 0).code);
}

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_word_char(decode_utf8(text, last_char(text)).code);
}

}  // namespace

AddedToken read_added_token(const Json& json, const std::string& where) {
  AddedToken token;
  token.id = get_field<int>(json, "id", where);
  token.content = get_field<std::string>(json, "content", where);
  token.special = get_field_or<bool>(json, "special", false, where);
  token.normalized = get_field_or<bool>(json, "normalized", !token.special, where);
  token.lstrip = get_field_or<bool>(json, "lstrip", false, where);
  token.rstrip = get_field_or<bool>(json, "rstrip", false, where);
  token.single_word = get_field_or<bool>(json, "single_word", false, where);
  return token;
}

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens)
    : tokens_(tokens), first_(256, -1) {
  for (size_t index = 0; index < tokens_.size(); ++index) {
    const std::string& content = tokens_[index].content;
    if (content.empty()) continue;
    int32_t& root = first_[static_cast<unsigned char>(content[0])];
    if (root < 0) {
      root = static_cast<int32_t>(trie_.size());
      trie_.emplace_back();
    }
    int32_t node = root;
    for (size_t i = 1; i < content.size(); ++i) {
      const auto byte = static_cast<unsigned char>(content[i]);
      const auto& children = trie_[node].children;
      const auto found = std::find_if(children.begin(), children.end(),
                                      [&](const auto& child) { return child.first == byte; });
      if (found != children.end()) {
        node = found->second;
      } else {
        const auto created = static_cast<int32_t>(trie_.size());
        trie_[node].children.emplace_back(byte, created);
        trie_.emplace_back();
        node = created;
      }
    }
    trie_[node].token = static_cast<int32_t>(index);
  }
}

int32_t AddedTokenFinder::longest_at(std::string_view text, size_t position) const {
  int32_t best = -1;
  int32_t node = first_[static_cast<unsigned char>(text[position])];
  while (node >= 0) {
    if (trie_[node].token >= 0) best = trie_[node].token;
    if (++position == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[position]);
    int32_t next = -1;
    for (const auto& [label, child] : trie_[node].children) {
      if (label == byte) next = child;
    }
    node = next;
  }
  return best;
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::find(std::string_view text,
                                                           bool parse_special) const {
  std::vector<Part> parts;
  size_t done = 0;
  for (size_t at = 0; at < text.size() && !trie_.empty();) {
    const int32_t index = longest_at(text, at);
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[index];
    size_t begin = at;
    size_t end = at + token.content.size();
    at = end;
    if (token.special && !parse_special) continue;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (token.lstrip) begin -= trailing_space(text.substr(0, begin));
    if (token.rstrip) end += leading_space(text.substr(end));
    begin = std::max(begin, done);
    if (begin > done) parts.push_back({text.substr(done, begin - done), -1});
    parts.push_back({text.substr(begin, end - begin), token.id});
    done = end;
    at = std::max(at, done);
  }
  if (done < text.size()) parts.push_back({text.substr(done), -1});
  return parts;
}

}  // namespace weft
