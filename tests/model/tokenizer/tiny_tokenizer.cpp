#include "tests/model/tokenizer/tiny_tokenizer.h"

#include "base/file.h"
#include "model/tokenizer/token_table.h"

namespace weft::test {

Json tiny_tokenizer_json(const std::vector<std::string>& merges, const std::vector<Json>& added) {
  Json vocab = Json::object();
  int id = 0;
  for (; id < 256; ++id) vocab[byte_level_char(static_cast<unsigned char>(id))] = id;
  for (std::string merge : merges) vocab[merge.erase(merge.find(' '), 1)] = id++;
  Json added_tokens = Json::array();
  for (Json token : added) {
    token["id"] = id++;
    added_tokens.push_back(token);
  }
  return {{"added_tokens", added_tokens},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

std::unique_ptr<Tokenizer> load_tokenizer(const TempDir& dir, const Json& json) {
  write_file_atomically(dir / "tokenizer.json", dump_json(json));
  return Tokenizer::load(dir.path());
}

}  // namespace weft::test
