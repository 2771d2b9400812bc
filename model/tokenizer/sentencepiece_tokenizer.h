/// A sentencepiece `.model` through libsentencepiece (BPE or Unigram, byte fallback).
#pragma once

#include <filesystem>
#include <memory>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/token_table.h"
#include "model/tokenizer/tokenizer.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace weft {

/// Control pieces (<s>, </s>) and the unknown piece count as special and are found in text; each
/// stretch between them is encoded on its own, as Hugging Face's Llama tokenizer does.
class SentencePieceTokenizer : public Tokenizer {
 public:
  /// Throws InputError as Tokenizer::load.
  explicit SentencePieceTokenizer(const std::filesystem::path& file);
  ~SentencePieceTokenizer() override;

  std::vector<int32_t> encode(std::string_view text, bool add_special,
                              bool parse_special) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::string token_bytes(int32_t id) const override;
  std::optional<int32_t> token_id(std::string_view content) const override;
  int32_t vocab_size() const override { return table_.size(); }
  bool is_special(int32_t id) const override;
  std::string first_bytes(int32_t id) const override { return table_.first_bytes(id); }

 private:
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  TokenTable table_;
  std::unique_ptr<AddedTokenFinder> special_;
  std::optional<int32_t> bos_, eos_;  ///< those that `add_special` adds
};

}  // namespace weft
