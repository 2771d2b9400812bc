#include "model/tokenizer/bpe_model.h"

#include <cstdio>

#include "base/error.h"

namespace weft {
namespace {

void refuse_unknown_parts(const Json& json, const std::string& where) {
  const auto type = get_field_or<std::string>(json, "type", "BPE", where);
  if (type != "BPE") {
    throw InputError(where + ": unknown model \"" + type + "\", expected BPE");
  }
  if (get_field_or<double>(json, "dropout", 0, where) != 0) {
    throw InputError(where + ".dropout: expected null, got a number");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = get_field_or<std::string>(json, key, "", where);
    if (!affix.empty()) {
      throw InputError(where + "." + key + ": expected null, got \"" + affix + "\"");
    }
  }
}

// Everything but the two large members.
Json small_members(const nlohmann::json& model) {
  Json small = Json::object();
  for (const auto& [key, value] : model.items()) {
    if (key != "vocab" && key != "merges") small[key] = Json(value);
  }
  return small;
}

// "a b" at the space that leaves two tokens: a token may be made of spaces itself.
std::pair<std::string, std::string> merge_sides(const nlohmann::json& merge,
                                                const TokenTable& table, const std::string& where) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t first = text.find(' ');
    for (size_t at = first; at != std::string::npos; at = text.find(' ', at + 1)) {
      const std::string left = text.substr(0, at), right = text.substr(at + 1);
      const bool known = table.id_of(left) >= 0 && table.id_of(right) >= 0;
      if (known || text.find(' ', first + 1) == std::string::npos) return {left, right};
    }
  }
  throw InputError(where + ": expected \"a b\" or [\"a\", \"b\"] of two tokens, got " +
                   merge.dump());
}

std::vector<BpeMerge> read_merges(const nlohmann::json& list, const TokenTable& table,
                                  const std::string& where) {
  std::vector<BpeMerge> merges;
  merges.reserve(list.size());
  const auto id = [&](const std::string& token) {
    const int32_t found = table.id_of(token);
    if (found < 0) {
      throw InputError(where + "[" + std::to_string(merges.size()) + "]: token \"" + token +
                       "\" is not in the vocabulary");
    }
    return found;
  };
  for (const auto& item : list) {
    const auto [left, right] =
        merge_sides(item, table, where + "[" + std::to_string(merges.size()) + "]");
    const int32_t left_id = id(left), right_id = id(right);
    merges.push_back({left_id, right_id, id(left + right)});
  }
  return merges;
}

void set_byte_ids(BpeOptions& options, bool byte_fallback, const TokenTable& table) {
  options.byte_ids.fill(-1);
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    if (options.byte_symbols) {
      options.byte_ids[byte] = table.id_of(byte_level_char(static_cast<unsigned char>(byte)));
    } else if (byte_fallback) {
      options.byte_ids[byte] = table.id_of(name);
    }
  }
}

// Bytes (or text) of each token, for those lookups that need them.
std::unordered_map<std::string, int32_t> lookup_table(const TokenTable& table,
                                                      const BpeOptions& options) {
  std::unordered_map<std::string, int32_t> ids;
  if (options.byte_symbols && !options.ignore_merges) return ids;
  std::string bytes;
  for (int32_t id = 0; id < table.size(); ++id) {
    const TokenEntry* entry = table.find(id);
    if (!entry) continue;
    if (!options.byte_symbols) {
      ids.emplace(entry->content, id);
    } else if (byte_level_to_bytes(entry->content, bytes)) {
      ids.emplace(bytes, id);
    }
  }
  return ids;
}

}  // namespace

std::unique_ptr<Bpe> read_bpe_model(const nlohmann::json& model, bool byte_symbols,
                                    TokenTable& table, const std::string& where) {
  if (!model.is_object()) throw InputError(where + ": expected an object");
  const Json small = small_members(model);
  refuse_unknown_parts(small, where);
  const auto vocab = model.find("vocab");
  const auto merges = model.find("merges");
  if (vocab == model.end() || !vocab->is_object()) {
    throw InputError(where + ".vocab: expected an object of token and id");
  }
  if (merges == model.end() || !merges->is_array()) {
    throw InputError(where + ".merges: expected an array");
  }
  for (const auto& [token, id] : vocab->items()) {
    if (!id.is_number_integer()) {
      throw InputError(where + ".vocab: token \"" + token + "\": expected an integer id");
    }
    table.add(id.get<int32_t>(), token, false, where + ".vocab");
  }
  BpeOptions options;
  options.byte_symbols = byte_symbols;
  options.ignore_merges = get_field_or<bool>(small, "ignore_merges", false, where);
  options.fuse_unknown = get_field_or<bool>(small, "fuse_unk", false, where);
  const auto unknown = get_field_or<std::string>(small, "unk_token", "", where);
  if (!unknown.empty()) {
    options.unknown = table.id_of(unknown);
    if (*options.unknown < 0) {
      throw InputError(where + ".unk_token: \"" + unknown + "\" is not in the vocabulary");
    }
  }
  set_byte_ids(options, get_field_or<bool>(small, "byte_fallback", false, where), table);
  auto ids = lookup_table(table, options);
  return std::make_unique<Bpe>(std::move(ids), read_merges(*merges, table, where + ".merges"),
                               options);
}

}  // namespace weft
