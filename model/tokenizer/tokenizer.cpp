#include "model/tokenizer/tokenizer.h"

#include "base/error.h"
#include "model/tokenizer/json_tokenizer.h"
#include "model/tokenizer/sentencepiece_tokenizer.h"
#include "model/tokenizer/unicode.h"

namespace weft {

std::unique_ptr<Tokenizer> Tokenizer::load(const std::filesystem::path& path) {
  std::filesystem::path file = path;
  if (std::filesystem::is_directory(path)) {
    file = path / "tokenizer.json";
    if (!std::filesystem::exists(file)) file = path / "tokenizer.model";
    if (!std::filesystem::exists(file)) {
      throw InputError(path.string() +
                       ": expected tokenizer.json or tokenizer.model, found neither");
    }
  }
  if (!std::filesystem::exists(file)) throw InputError(file.string() + ": no such file");
  if (file.extension() == ".json") return std::make_unique<JsonTokenizer>(file);
  if (file.extension() == ".model") return std::make_unique<SentencePieceTokenizer>(file);
  throw InputError(file.string() + ": expected a folder, a .json or a .model file");
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  std::string bytes = tokenizer_.token_bytes(id);
  if (bytes.empty()) return {};
  if (at_start_ && tokenizer_.drops_first_space() && bytes[0] == ' ') bytes.erase(0, 1);
  at_start_ = false;
  pending_ += bytes;
  const size_t whole = pending_.size() - incomplete_utf8_suffix(pending_);
  std::string text = to_valid_utf8(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return text;
}

std::string StreamDecoder::flush() {
  std::string text = to_valid_utf8(pending_);
  pending_.clear();
  at_start_ = true;
  return text;
}

}  // namespace weft
