#include "model/tokenizer/json_tokenizer.h"

#include "base/error.h"
#include "base/file.h"
#include "model/tokenizer/bpe_model.h"
#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

nlohmann::json parse_file(const std::filesystem::path& file) {
  try {
    auto root = nlohmann::json::parse(read_file(file));
    if (!root.is_object()) throw InputError(file.string() + ": expected an object");
    return root;
  } catch (const nlohmann::json::exception& e) {
    throw InputError(file.string() + ": not valid JSON: " + e.what());
  }
}

Json component(const nlohmann::json& root, const char* key) {
  const auto found = root.find(key);
  return found == root.end() ? Json() : Json(*found);
}

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

}  // namespace

/// A cache taken from the tokenizer's spare ones and put back at the end.
class JsonTokenizer::BorrowedCache {
 public:
  explicit BorrowedCache(const JsonTokenizer& owner) : owner_(owner) {
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
  const JsonTokenizer& owner_;
  std::unique_ptr<BpeCache> cache_;
};

struct JsonTokenizer::Scratch {
  BpeCache& cache;
  Pieces pieces;
};

JsonTokenizer::JsonTokenizer(const std::filesystem::path& file) {
  const nlohmann::json root = parse_file(file);
  const std::string where = file.string() + ": ";
  normalizer_ = make_normalizer(component(root, "normalizer"), where + "normalizer");
  pre_tokenizer_ =
      std::make_unique<PreTokenizer>(component(root, "pre_tokenizer"), where + "pre_tokenizer");
  table_ = TokenTable(DecoderRules::from_json(component(root, "decoder"), where + "decoder"));
  const auto model = root.find("model");
  if (model == root.end()) throw InputError(where + "model: expected an object, got nothing");
  bpe_ = read_bpe_model(*model, pre_tokenizer_->byte_level(), table_, where + "model");
  read_added_tokens(component(root, "added_tokens"), where + "added_tokens");
  read_post_processor(component(root, "post_processor"), where + "post_processor");
}

void JsonTokenizer::read_added_tokens(const Json& json, const std::string& where) {
  std::vector<AddedToken> raw, normalized;
  for (const Json& item : json) {
    AddedToken token = read_added_token(item, where);
    table_.add(token.id, token.content, token.special, where);
    if (token.normalized && normalizer_) token.content = normalizer_->normalize(token.content);
    (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  raw_tokens_ = std::make_unique<AddedTokenFinder>(raw);
  normalized_tokens_ = std::make_unique<AddedTokenFinder>(normalized);
}

void JsonTokenizer::read_post_processor(const Json& json, const std::string& where) {
  if (json.is_null()) return;
  const auto type = get_field<std::string>(json, "type", where);
  if (type == "ByteLevel") return;
  if (type == "Sequence") {
    for (const Json& item : get_field<Json>(json, "processors", where)) {
      read_post_processor(item, where + ".processors");
    }
    return;
  }
  if (type != "TemplateProcessing") {
    throw InputError(where + ": unknown post_processor \"" + type +
                     "\", expected TemplateProcessing, ByteLevel or Sequence");
  }
  const auto tokens = get_field<Json>(json, "special_tokens", where);
  bool after_text = false;
  for (const Json& item : get_field<Json>(json, "single", where)) {
    if (item.contains("Sequence")) {
      after_text = true;
      continue;
    }
    const auto special = get_field<Json>(item, "SpecialToken", where + ".single");
    const auto name = get_field<std::string>(special, "id", where + ".single");
    const auto entry = get_field<Json>(tokens, name.c_str(), where + ".special_tokens");
    for (const int64_t id :
         get_field<std::vector<int64_t>>(entry, "ids", where + ".special_tokens." + name)) {
      (after_text ? suffix_ : prefix_).push_back(static_cast<int32_t>(id));
    }
  }
}

std::vector<int32_t> JsonTokenizer::encode(std::string_view text, bool add_special,
                                           bool parse_special) const {
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = to_valid_utf8(text);
  std::vector<int32_t> out;
  out.reserve(text.size() / 3 + 4);
  if (add_special) out = prefix_;
  BorrowedCache cache(*this);
  Scratch scratch{*cache, {}};
  for (const auto& part : raw_tokens_->find(text, parse_special)) {
    if (part.id >= 0) {
      out.push_back(part.id);
    } else {
      encode_gap(part.text, parse_special, scratch, out);
    }
  }
  if (add_special) out.insert(out.end(), suffix_.begin(), suffix_.end());
  return out;
}

void JsonTokenizer::encode_gap(std::string_view text, bool parse_special, Scratch& scratch,
                               std::vector<int32_t>& out) const {
  std::string normalized;
  if (normalizer_) text = normalized = normalizer_->normalize(text);
  for (const auto& part : normalized_tokens_->find(text, parse_special)) {
    if (part.id >= 0) {
      out.push_back(part.id);
      continue;
    }
    pre_tokenizer_->split(part.text, scratch.pieces);
    for (const std::string_view piece : scratch.pieces.views) {
      bpe_->encode(piece, scratch.cache, out);
    }
  }
}

std::string JsonTokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return table_.decode(ids, skip_special);
}

std::string JsonTokenizer::token_bytes(int32_t id) const {
  const TokenEntry* entry = table_.find(id);
  return entry ? entry->bytes : std::string();
}

std::optional<int32_t> JsonTokenizer::token_id(std::string_view content) const {
  const int32_t id = table_.id_of(content);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

bool JsonTokenizer::is_special(int32_t id) const {
  const TokenEntry* entry = table_.find(id);
  return entry && entry->special;
}

}  // namespace weft
