#include "model/tokenizer/tiktoken.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <unordered_map>

#include "base/base64.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "model/tokenizer/bpe_tokenizer.h"

namespace weft {
namespace {

struct RankedToken {
  std::string bytes;
  int32_t rank = -1;
};

// Nothing if the line has not the form "BASE64 RANK"; Qwen's lines end with CR and LF.
std::optional<RankedToken> read_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  auto bytes = base64_decode(line.substr(0, space));
  RankedToken token;
  const char* end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + space + 1, end, token.rank);
  if (!bytes || bytes->empty() || error != std::errc() || stop != end || token.rank < 0) {
    return std::nullopt;
  }
  token.bytes = std::move(*bytes);
  return token;
}

// Bytes of each rank.
std::vector<std::string> read_ranks(const std::filesystem::path& file) {
  std::vector<std::string> tokens;
  const std::string text = read_file(file);
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.empty()) continue;
    auto token = read_line(line);
    const std::string where = file.string() + ":" + std::to_string(number);
    if (!token) throw InputError(where + ": expected a token in base64 and its rank");
    if (token->rank != std::ssize(tokens)) {
      throw InputError(where + ": expected rank " + std::to_string(tokens.size()) + ", got " +
                       std::to_string(token->rank));
    }
    tokens.push_back(std::move(token->bytes));
  }
  return tokens;
}

struct Family {
  std::string_view regex;
  bool nfc = false;
};

Family family_of(size_t num_ranks, const std::filesystem::path& file) {
  switch (num_ranks) {
    case 50256:  // GPT-2
      return {kGpt2Regex};
    case 100256:  // cl100k
    case 128000:  // Llama-3
      return {kLlama3Regex};
    case 199998:  // o200k
      return {kO200kRegex};
    case 151643:  // Qwen
      return {kQwen2Regex, true};
    default:
      throw InputError(file.string() +
                       ": expected the ranks of GPT-2 (50256), cl100k (100256), Llama-3 "
                       "(128000), Qwen (151643) or o200k (199998), got " +
                       std::to_string(num_ranks));
  }
}

std::unique_ptr<Bpe> make_bpe(const std::vector<std::string>& tokens, const std::string& where) {
  std::unordered_map<std::string, int32_t> ids;
  for (const std::string& bytes : tokens) {
    const auto [entry, is_new] = ids.emplace(bytes, static_cast<int32_t>(ids.size()));
    if (!is_new) {
      throw InputError(where + ": ranks " + std::to_string(entry->second) + " and " +
                       std::to_string(ids.size()) + " have the same bytes");
    }
  }
  BpeOptions options;
  options.ignore_merges = true;
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = ids.find(std::string(1, static_cast<char>(byte)));
    if (found == ids.end()) {
      throw InputError(where + ": no token for byte " + std::to_string(byte));
    }
    options.byte_ids[byte] = found->second;
  }
  std::vector<BpeMerge> merges;
  for (int32_t id = 0; id < std::ssize(tokens); ++id) {
    const std::string& bytes = tokens[id];
    for (size_t at = 1; at < bytes.size(); ++at) {
      const auto left = ids.find(bytes.substr(0, at)), right = ids.find(bytes.substr(at));
      if (left == ids.end() || right == ids.end()) continue;
      merges.push_back({left->second, right->second, id, id});
    }
  }
  return std::make_unique<Bpe>(std::move(ids), merges, options);
}

void add_special_tokens(const std::filesystem::path& config_file, BpeTokenizerParts& parts) {
  if (!std::filesystem::exists(config_file)) return;
  const std::string where = config_file.string();
  const Json config = read_json_file(config_file);
  const auto added = get_field_or<Json>(config, "added_tokens_decoder", Json::object(), where);
  for (const auto& [id, fields] : added.items()) {
    const std::string at = where + ": added_tokens_decoder." + id;
    Json token = fields;
    int number = -1;
    const auto [stop, error] = std::from_chars(id.data(), id.data() + id.size(), number);
    if (error != std::errc() || stop != id.data() + id.size()) {
      throw InputError(at + ": expected an id");
    }
    token["id"] = number;
    parts.added_tokens.push_back(read_added_token(token, at));
  }
  if (!get_field_or<bool>(config, "add_bos_token", false, where)) return;
  const auto bos = get_field<std::string>(config, "bos_token", where);
  for (const AddedToken& token : parts.added_tokens) {
    if (token.content == bos) parts.prefix = {token.id};
  }
  if (parts.prefix.empty()) throw InputError(where + ": bos_token: \"" + bos + "\" is no token");
}

}  // namespace

bool is_tiktoken_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string start(512, '\0');
  stream.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(stream.gcount()));
  return read_line(std::string_view(start).substr(0, start.find('\n'))).has_value();
}

std::unique_ptr<Tokenizer> load_tiktoken(const std::filesystem::path& file) {
  const std::vector<std::string> tokens = read_ranks(file);
  const Family family = family_of(tokens.size(), file);
  BpeTokenizerParts parts;
  parts.bpe = make_bpe(tokens, file.string());
  parts.normalizer = make_normalizer(family.nfc ? Json{{"type", "NFC"}} : Json(), file.string());
  const Json split = {
      {"type", "Split"}, {"pattern", {{"Regex", family.regex}}}, {"behavior", "Isolated"}};
  parts.pre_tokenizer = std::make_unique<PreTokenizer>(split, file.string());
  for (int32_t id = 0; id < std::ssize(tokens); ++id) {
    std::string content;
    for (const char byte : tokens[id]) content += byte_level_char(static_cast<unsigned char>(byte));
    parts.table.add(id, std::move(content), false, file.string());
  }
  const auto config_file = file.parent_path() / "tokenizer_config.json";
  add_special_tokens(config_file, parts);
  return std::make_unique<BpeTokenizer>(std::move(parts), config_file.string());
}

}  // namespace weft
