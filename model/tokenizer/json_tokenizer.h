/// tokenizer.json of Hugging Face `tokenizers`, model BPE.
#pragma once

#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/token_table.h"
#include "model/tokenizer/tokenizer.h"

namespace weft {

class JsonTokenizer : public Tokenizer {
 public:
  /// Throws InputError as Tokenizer::load.
  explicit JsonTokenizer(const std::filesystem::path& file);

  std::vector<int32_t> encode(std::string_view text, bool add_special,
                              bool parse_special) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::string token_bytes(int32_t id) const override;
  std::optional<int32_t> token_id(std::string_view content) const override;
  int32_t vocab_size() const override { return table_.size(); }
  bool is_special(int32_t id) const override;
  bool drops_first_space() const override { return table_.drops_first_space(); }

 private:
  class BorrowedCache;
  struct Scratch;

  void read_added_tokens(const Json& json, const std::string& where);
  void read_post_processor(const Json& json, const std::string& where);
  void encode_gap(std::string_view text, bool parse_special, Scratch& scratch,
                  std::vector<int32_t>& out) const;

  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::unique_ptr<Bpe> bpe_;
  std::unique_ptr<AddedTokenFinder> raw_tokens_, normalized_tokens_;
  TokenTable table_;
  std::vector<int32_t> prefix_, suffix_;  ///< of the post-processor
  mutable std::mutex caches_mutex_;
  mutable std::vector<std::unique_ptr<BpeCache>> caches_;  ///< those not in use
};

}  // namespace weft
