/// Byte-pair encoding between added tokens: what a tokenizer.json or a tiktoken file describes.
#pragma once

#include <memory>
#include <mutex>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/encoding_limits.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/token_table.h"
#include "model/tokenizer/tokenizer.h"

namespace weft {

struct BpeTokenizerParts {
  std::unique_ptr<Normalizer> normalizer;  ///< may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<Bpe> bpe;
  TokenTable table;  ///< without the added tokens
  std::vector<AddedToken> added_tokens;
  std::vector<int32_t> prefix, suffix;  ///< what add_special puts around a text
  EncodingLimits limits;
};

class BpeTokenizer : public Tokenizer {
 public:
  /// Throws InputError, opening with `where`, for an added token's id that cannot be.
  BpeTokenizer(BpeTokenizerParts parts, const std::string& where);

  std::vector<int32_t> encode(std::string_view text, bool add_special,
                              bool parse_special) const override;
  std::vector<int32_t> encode_to_length(std::string_view text, bool add_special) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::string token_bytes(int32_t id) const override;
  std::optional<int32_t> token_id(std::string_view content) const override;
  int32_t vocab_size() const override { return parts_.table.size(); }
  bool is_special(int32_t id) const override;
  std::string first_bytes(int32_t id) const override { return parts_.table.first_bytes(id); }
  bool joins_by_spaces() const override { return parts_.table.rules().joined; }

 private:
  class BorrowedCache;
  struct Scratch;

  /// `opens`: the text begins the whole one.
  void encode_gap(std::string_view text, bool opens, bool parse_special, Scratch& scratch,
                  std::vector<int32_t>& out) const;

  BpeTokenizerParts parts_;
  std::unique_ptr<AddedTokenFinder> raw_tokens_, normalized_tokens_;
  mutable std::mutex caches_mutex_;
  mutable std::vector<std::unique_ptr<BpeCache>> caches_;  ///< those not in use
};

}  // namespace weft
