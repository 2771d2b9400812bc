#include "model/tokenizer/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include "base/error.h"
#include "base/file.h"
#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";

std::vector<int> encode_plain(const sentencepiece::SentencePieceProcessor& processor,
                              std::string_view text) {
  std::vector<int> ids;
  const auto status = processor.Encode(std::string(text), &ids);
  if (!status.ok()) throw Error("sentencepiece: " + status.ToString());
  return ids;
}

// A dummy prefix is put before a text unless a probe begins with something else.
bool has_dummy_prefix(const sentencepiece::SentencePieceProcessor& processor) {
  const auto ids = encode_plain(processor, "a");
  return !ids.empty() && processor.IdToPiece(ids[0]).starts_with(kSpaceMark);
}

}  // namespace

SentencePieceTokenizer::SentencePieceTokenizer(const std::filesystem::path& file)
    : processor_(std::make_unique<sentencepiece::SentencePieceProcessor>()) {
  const auto status = processor_->LoadFromSerializedProto(read_file(file));
  if (!status.ok()) throw InputError(file.string() + ": " + status.ToString());
  table_ = TokenTable(DecoderRules::sentencepiece(has_dummy_prefix(*processor_)));
  std::vector<AddedToken> special;
  for (int id = 0; id < processor_->GetPieceSize(); ++id) {
    const std::string& piece = processor_->IdToPiece(id);
    const bool hidden = processor_->IsControl(id) || processor_->IsUnknown(id);
    table_.add(id, piece, hidden, file.string());
    if (hidden) special.push_back({.id = id, .content = piece, .special = true});
  }
  special_ = std::make_unique<AddedTokenFinder>(special);
  const auto config_file = file.parent_path() / "tokenizer_config.json";
  const Json config =
      std::filesystem::exists(config_file) ? read_json_file(config_file) : Json::object();
  const std::string where = config_file.string();
  if (get_field_or<bool>(config, "add_bos_token", true, where) && processor_->bos_id() >= 0) {
    bos_ = processor_->bos_id();
  }
  if (get_field_or<bool>(config, "add_eos_token", false, where) && processor_->eos_id() >= 0) {
    eos_ = processor_->eos_id();
  }
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

std::vector<int32_t> SentencePieceTokenizer::encode(std::string_view text, bool add_special,
                                                    bool parse_special) const {
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = to_valid_utf8(text);
  std::vector<int32_t> out;
  if (add_special && bos_) out.push_back(*bos_);
  for (const auto& part : special_->find(text, parse_special)) {
    if (part.id >= 0) {
      out.push_back(part.id);
    } else {
      const auto ids = encode_plain(*processor_, part.text);
      out.insert(out.end(), ids.begin(), ids.end());
    }
  }
  if (add_special && eos_) out.push_back(*eos_);
  return out;
}

std::string SentencePieceTokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return table_.decode(ids, skip_special);
}

std::string SentencePieceTokenizer::token_bytes(int32_t id) const {
  const TokenEntry* entry = table_.find(id);
  return entry ? entry->bytes : std::string();
}

std::optional<int32_t> SentencePieceTokenizer::token_id(std::string_view content) const {
  const int32_t id = table_.id_of(content);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

bool SentencePieceTokenizer::is_special(int32_t id) const {
  const TokenEntry* entry = table_.find(id);
  return entry && entry->special;
}

}  // namespace weft
