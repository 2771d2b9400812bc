#include "model/tokenizer/json_tokenizer.h"

#include "base/error.h"
#include "base/file.h"
#include "model/tokenizer/bpe_model.h"
#include "model/tokenizer/bpe_tokenizer.h"

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

void read_post_processor(const Json& json, BpeTokenizerParts& parts, const std::string& where) {
  if (json.is_null()) return;
  const auto type = get_field<std::string>(json, "type", where);
  if (type == "ByteLevel") return;
  if (type == "Sequence") {
    for (const Json& item : get_field<Json>(json, "processors", where)) {
      read_post_processor(item, parts, where + ".processors");
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
      (after_text ? parts.suffix : parts.prefix).push_back(static_cast<int32_t>(id));
    }
  }
}

}  // namespace

std::unique_ptr<Tokenizer> load_json_tokenizer(const std::filesystem::path& file) {
  const nlohmann::json root = parse_file(file);
  const std::string where = file.string() + ": ";
  BpeTokenizerParts parts;
  parts.normalizer = make_normalizer(component(root, "normalizer"), where + "normalizer");
  parts.pre_tokenizer =
      std::make_unique<PreTokenizer>(component(root, "pre_tokenizer"), where + "pre_tokenizer");
  parts.table = TokenTable(DecoderRules::from_json(component(root, "decoder"), where + "decoder"));
  const auto model = root.find("model");
  if (model == root.end()) throw InputError(where + "model: expected an object, got nothing");
  parts.bpe =
      read_bpe_model(*model, parts.pre_tokenizer->byte_level(), parts.table, where + "model");
  const std::string added = where + "added_tokens";
  for (const Json& item : component(root, "added_tokens")) {
    parts.added_tokens.push_back(read_added_token(item, added));
  }
  read_post_processor(component(root, "post_processor"), parts, where + "post_processor");
  parts.limits =
      EncodingLimits::from_json(component(root, "truncation"), component(root, "padding"),
                                std::ssize(parts.prefix) + std::ssize(parts.suffix), where);
  return std::make_unique<BpeTokenizer>(std::move(parts), added);
}

}  // namespace weft
