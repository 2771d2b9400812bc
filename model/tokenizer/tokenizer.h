/// Text to token ids and back, for every model that Weft loads. Free of LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// Immutable after loading; every method may be called from any thread.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// `path` is a model's folder (of tokenizer.json, tokenizer.model and a .tiktoken file the first
  /// that is there) or one of these files. Throws InputError naming the file and the component that
  /// is broken or unknown.
  ///
  /// tokenizer.json is read as Hugging Face `tokenizers` does. A sentencepiece `.model` gives what
  /// `tokenizers` gives after conversion; BOS is put first and EOS last as `add_bos_token` (default
  /// true) and `add_eos_token` (default false) of a tokenizer_config.json beside it say. tiktoken's
  /// ranks, in a .tiktoken or .model file, are read as model/tokenizer/tiktoken.h says.
  static std::unique_ptr<Tokenizer> load(const std::filesystem::path& path);

  /// Ids of `text`; invalid UTF-8 counts as U+FFFD. `add_special` adds what the post-processor adds
  /// (BOS, ...). Without `parse_special` the text of a special token is ordinary text: use it for
  /// text that a stranger wrote.
  virtual std::vector<int32_t> encode(std::string_view text, bool add_special = true,
                                      bool parse_special = true) const = 0;

  /// encode() cut and filled as `truncation` and `padding` of a tokenizer.json say, which is what
  /// `tokenizers` gives. transformers leaves both out unless it is asked, and so does encode().
  virtual std::vector<int32_t> encode_to_length(std::string_view text, bool add_special) const {
    return encode(text, add_special);
  }

  /// Valid UTF-8; bytes that form no character become U+FFFD, ids outside the vocabulary nothing.
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special = false) const = 0;

  /// The bytes that the id stands for inside a text: maybe no whole character, and with
  /// sentencepiece the space before a word included. Empty for an id outside the vocabulary.
  virtual std::string token_bytes(int32_t id) const = 0;

  /// The same at the beginning of a text, without what decode() drops there: a space before a word.
  virtual std::string first_bytes(int32_t id) const = 0;

  /// Whether decode() writes a space between tokens, as for a tokenizer.json without a decoder.
  virtual bool joins_by_spaces() const { return false; }

  /// Id of a token by its content as the tokenizer's file writes it ("<|im_end|>", "\u0120the").
  virtual std::optional<int32_t> token_id(std::string_view content) const = 0;

  /// One more than the largest id; the rows of an embedding may be more (padding).
  virtual int32_t vocab_size() const = 0;

  virtual bool is_special(int32_t id) const = 0;
};

/// Text of a growing sequence of ids. What push() returned so far and flush() together are
/// decode() of the ids, except that sentencepiece's broken byte runs may be replaced differently.
/// Used by one thread at a time; borrows the tokenizer.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = false);

  /// Text that this id completes: whole characters only, maybe none. Bytes that cannot become a
  /// character any more come out as U+FFFD at once.
  std::string push(int32_t id);

  /// Whether the ids so far end within a character.
  bool inside_character() const { return !pending_.empty(); }

  /// What is left, an unfinished character as U+FFFD; the decoder is then as new.
  std::string flush();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  bool at_start_ = true;
  std::string pending_;
};

}  // namespace weft
