#include "model/tokenizer/tokenizer.h"

#include "base/error.h"
#include "model/tokenizer/json_tokenizer.h"
#include "model/tokenizer/sentencepiece_tokenizer.h"
#include "model/tokenizer/tiktoken.h"
#include "model/tokenizer/unicode.h"

namespace weft {

namespace {

// The file to read of a model's folder.
std::filesystem::path tokenizer_file(const std::filesystem::path& folder) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".tiktoken") return entry.path();
  }
  throw InputError(folder.string() +
                   ": expected tokenizer.json, tokenizer.model or a .tiktoken file, found none");
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::load(const std::filesystem::path& path) {
  const std::filesystem::path file =
      std::filesystem::is_directory(path) ? tokenizer_file(path) : path;
  if (!std::filesystem::exists(file)) throw InputError(file.string() + ": no such file");
  if (file.extension() == ".json") return load_json_tokenizer(file);
  if (file.extension() == ".tiktoken") return load_tiktoken(file);
  if (file.extension() == ".model") {
    if (is_tiktoken_file(file)) return load_tiktoken(file);
    return std::make_unique<SentencePieceTokenizer>(file);
  }
  throw InputError(file.string() + ": expected a folder, a .json, a .model or a .tiktoken file");
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {}

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  std::string bytes = tokenizer_.token_bytes(id);
  if (bytes.empty()) return {};
  if (at_start_) {
    bytes = tokenizer_.first_bytes(id);
  } else if (tokenizer_.joins_by_spaces()) {
    bytes.insert(bytes.begin(), ' ');
  }
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
