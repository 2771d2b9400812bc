#include "model/tokenizer/token_table.h"

#include <array>
#include <charconv>

#include "base/error.h"
#include "model/tokenizer/metaspace.h"
#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

constexpr int32_t kMaxId = 1 << 24;

bool is_printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// GPT-2's bytes_to_unicode: printable bytes stand for themselves, the others from U+0100 on.
const std::array<char32_t, 256>& stand_ins() {
  static const auto table = [] {
    std::array<char32_t, 256> chars;
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      chars[byte] = is_printable(byte) ? static_cast<char32_t>(byte) : next++;
    }
    return chars;
  }();
  return table;
}

int byte_of_stand_in(char32_t code) {
  static const auto table = [] {
    std::array<int, 0x144> bytes;
    bytes.fill(-1);
    for (int byte = 0; byte < 256; ++byte) bytes[stand_ins()[byte]] = byte;
    return bytes;
  }();
  return code < table.size() ? table[code] : -1;
}

// <0xNN>, or -1.
int fallback_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = -1;
  const char* digits = token.data() + 3;
  const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
  return error == std::errc() && end == digits + 2 ? byte : -1;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

DecoderRules metaspace_rules(const Json& json, const std::string& where) {
  const MetaspaceOptions options = MetaspaceOptions::from_json(json, where);
  DecoderRules rules;
  rules.byte_level = false;
  rules.replacements = {{options.replacement, " "}};
  if (options.prepend != MetaspaceOptions::Prepend::kNever) rules.first_drops = options.replacement;
  return rules;
}

void add_decoder_part(const Json& json, const std::string& where, DecoderRules& rules, int& stage) {
  const auto type = get_field<std::string>(json, "type", where);
  const int order = type == "Replace"        ? 0
                    : type == "ByteFallback" ? 1
                    : type == "Fuse"         ? 2
                    : type == "Strip"        ? 3
                                             : -1;
  if (order < stage || (order == 3 && stage < 2)) {
    throw InputError(where + ": unknown decoder \"" + type +
                     "\" at this place, expected ByteLevel, Metaspace, or Replace, ByteFallback, " +
                     "Fuse, Strip in this order");
  }
  stage = order;
  if (order == 0) {
    const auto pattern = get_field<Json>(json, "pattern", where);
    auto from = get_field<std::string>(pattern, "String", where + ".pattern");
    if (from.empty()) throw InputError(where + ".pattern.String: expected text, got an empty one");
    rules.replacements.emplace_back(std::move(from),
                                    get_field<std::string>(json, "content", where));
  } else if (order == 1) {
    rules.byte_fallback = true;
  } else if (order == 3) {
    rules.strip_text = get_field<std::string>(json, "content", where);
    rules.strip_start = get_field<int>(json, "start", where);
    rules.strip_stop = get_field<int>(json, "stop", where);
  }
}

}  // namespace

bool byte_level_to_bytes(std::string_view token, std::string& bytes) {
  bytes.clear();
  for (size_t i = 0; i < token.size();) {
    const Utf8Char c = decode_utf8(token, i);
    const int byte = c.valid ? byte_of_stand_in(c.code) : -1;
    if (byte < 0) return false;
    bytes += static_cast<char>(byte);
    i += c.length;
  }
  return true;
}

std::string byte_level_char(unsigned char byte) {
  std::string out;
  append_utf8(out, stand_ins()[byte]);
  return out;
}

DecoderRules DecoderRules::from_json(const Json& json, const std::string& where) {
  DecoderRules rules;
  if (json.is_null()) {
    rules.byte_level = false;
    rules.joined = true;
    return rules;
  }
  const auto type = get_field<std::string>(json, "type", where);
  if (type == "ByteLevel") return rules;
  if (type == "Metaspace") return metaspace_rules(json, where);
  const Json parts =
      type == "Sequence" ? get_field<Json>(json, "decoders", where) : Json::array({json});
  if (parts.size() == 1 && type == "Sequence") {
    const auto only = get_field<std::string>(parts[0], "type", where + ".decoders");
    if (only == "ByteLevel" || only == "Metaspace") return from_json(parts[0], where + ".decoders");
  }
  rules.byte_level = false;
  int stage = 0;
  for (const Json& part : parts) add_decoder_part(part, where, rules, stage);
  return rules;
}

DecoderRules DecoderRules::sentencepiece(bool dummy_prefix) {
  DecoderRules rules;
  rules.byte_level = false;
  rules.replacements = {{"\u2581", " "}};
  rules.byte_fallback = true;
  rules.strip_text = " ";
  rules.strip_start = dummy_prefix ? 1 : 0;
  return rules;
}

void TokenTable::add(int32_t id, std::string content, bool special, const std::string& where) {
  if (id < 0 || id > kMaxId) {
    throw InputError(where + ": token \"" + content + "\": expected an id from 0 to " +
                     std::to_string(kMaxId) + ", got " + std::to_string(id));
  }
  if (id >= size()) entries_.resize(static_cast<size_t>(id) + 1);
  TokenEntry& entry = entries_[id];
  entry = {};
  entry.present = true;
  entry.special = special;
  entry.bytes = content;
  if (rules_.byte_level) {
    std::string bytes;
    if (byte_level_to_bytes(content, bytes)) entry.bytes = std::move(bytes);
  } else {
    for (const auto& [from, to] : rules_.replacements) replace_all(entry.bytes, from, to);
    const int byte = rules_.byte_fallback ? fallback_byte(content) : -1;
    entry.fallback_byte = byte >= 0;
    if (byte >= 0) entry.bytes = std::string(1, static_cast<char>(byte));
  }
  ids_[content] = id;
  entry.content = std::move(content);
}

const TokenEntry* TokenTable::find(int32_t id) const {
  return id >= 0 && id < size() && entries_[id].present ? &entries_[id] : nullptr;
}

int32_t TokenTable::id_of(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  return found == ids_.end() ? -1 : found->second;
}

std::string TokenTable::first_bytes(int32_t id) const {
  const TokenEntry* entry = find(id);
  if (!entry) return {};
  if (!rules_.first_drops.empty()) {
    std::string text = entry->content;
    replace_all(text, rules_.first_drops, "");
    return text;
  }
  const bool drops = rules_.strip_start > 0 && rules_.strip_text == " ";
  return drops && entry->bytes.starts_with(' ') ? entry->bytes.substr(1) : entry->bytes;
}

std::string TokenTable::strip(std::string text) const {
  const size_t width = rules_.strip_text.size();
  for (int i = 0; width > 0 && i < rules_.strip_start && text.starts_with(rules_.strip_text); ++i) {
    text.erase(0, width);
  }
  for (int i = 0; width > 0 && i < rules_.strip_stop && text.ends_with(rules_.strip_text); ++i) {
    text.erase(text.size() - width);
  }
  return text;
}

std::string TokenTable::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text, run;
  bool first = true;
  const auto end_run = [&] {
    if (is_valid_utf8(run)) {
      text += run;
    } else {
      for (size_t i = 0; i < run.size(); ++i) text += kReplacementCharacter;
    }
    run.clear();
  };
  for (const int32_t id : ids) {
    const TokenEntry* entry = find(id);
    if (!entry || (skip_special && entry->special)) continue;
    if (entry->fallback_byte) {
      run += entry->bytes;
      continue;
    }
    end_run();
    if (!first && rules_.joined) text += ' ';
    text += first && !rules_.first_drops.empty() ? first_bytes(id) : entry->bytes;
    first = false;
  }
  end_run();
  return rules_.byte_level ? to_valid_utf8(text) : strip(std::move(text));
}

}  // namespace weft
