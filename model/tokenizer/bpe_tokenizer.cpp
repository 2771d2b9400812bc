#include "model/tokenizer/bpe_tokenizer.h"

#include "model/tokenizer/unicode.h"

namespace weft {

/// A cache taken from the tokenizer's spare ones and put back at the end.
class BpeTokenizer::BorrowedCache {
 public:
  explicit BorrowedCache(const BpeTokenizer& owner) : owner_(owner) {
    {
      const std::lock_guard lock(owner_.caches_mutex_);
      if (!owner_.caches_.empty()) {
        cache_ = std::move(owner_.caches_.back());
        owner_.caches_.pop_back();
      }
    }
    if (!cache_) cache_ = std::make_unique<BpeCache>();
  }
  ~BorrowedCache() {
    const std::lock_guard lock(owner_.caches_mutex_);
    owner_.caches_.push_back(std::move(cache_));
  }
  BorrowedCache(const BorrowedCache&) = delete;
  BorrowedCache& operator=(const BorrowedCache&) = delete;

  BpeCache& operator*() { return *cache_; }

 private:
  const BpeTokenizer& owner_;
  std::unique_ptr<BpeCache> cache_;
};

struct BpeTokenizer::Scratch {
  BpeCache& cache;
  Pieces pieces;
};

BpeTokenizer::BpeTokenizer(BpeTokenizerParts parts, const std::string& where)
    : parts_(std::move(parts)) {
  std::vector<AddedToken> raw, normalized;
  for (AddedToken& token : parts_.added_tokens) {
    parts_.table.add(token.id, token.content, token.special, where);
    if (token.normalized && parts_.normalizer) {
      token.content = parts_.normalizer->normalize(token.content);
    }
    (token.normalized ? normalized : raw).push_back(token);
  }
  raw_tokens_ = std::make_unique<AddedTokenFinder>(raw);
  normalized_tokens_ = std::make_unique<AddedTokenFinder>(normalized);
}

std::vector<int32_t> BpeTokenizer::encode(std::string_view text, bool add_special,
                                          bool parse_special) const {
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = to_valid_utf8(text);
  std::vector<int32_t> out;
  out.reserve(text.size() / 3 + 4);
  if (add_special) out = parts_.prefix;
  BorrowedCache cache(*this);
  Scratch scratch{*cache, {}};
  for (const auto& part : raw_tokens_->find(text, parse_special)) {
    if (part.id >= 0) {
      out.push_back(part.id);
    } else {
      encode_gap(part.text, part.text.data() == text.data(), parse_special, scratch, out);
    }
  }
  if (add_special) out.insert(out.end(), parts_.suffix.begin(), parts_.suffix.end());
  return out;
}

std::vector<int32_t> BpeTokenizer::encode_to_length(std::string_view text, bool add_special) const {
  return parts_.limits.applied(encode(text, add_special, /*parse_special=*/true),
                               add_special ? std::ssize(parts_.prefix) : 0,
                               add_special ? std::ssize(parts_.suffix) : 0);
}

void BpeTokenizer::encode_gap(std::string_view text, bool opens, bool parse_special,
                              Scratch& scratch, std::vector<int32_t>& out) const {
  std::string normalized;
  if (parts_.normalizer) text = normalized = parts_.normalizer->normalize(text);
  for (const auto& part : normalized_tokens_->find(text, parse_special)) {
    if (part.id >= 0) {
      out.push_back(part.id);
      continue;
    }
    const bool opens_piece = opens && part.text.data() == text.data();
    parts_.pre_tokenizer->split(part.text, opens_piece, scratch.pieces);
    for (const std::string_view piece : scratch.pieces.views) {
      parts_.bpe->encode(piece, scratch.cache, out);
    }
  }
}

std::string BpeTokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return parts_.table.decode(ids, skip_special);
}

std::string BpeTokenizer::token_bytes(int32_t id) const {
  const TokenEntry* entry = parts_.table.find(id);
  return entry ? entry->bytes : std::string();
}

std::optional<int32_t> BpeTokenizer::token_id(std::string_view content) const {
  const int32_t id = parts_.table.id_of(content);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

bool BpeTokenizer::is_special(int32_t id) const {
  const TokenEntry* entry = parts_.table.find(id);
  return entry && entry->special;
}

}  // namespace weft
