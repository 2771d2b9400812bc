/// Regular expressions that cut text into pre-tokens. The first three are those that nearly every
/// model uses and are matched by hand; any other one runs on PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// The expression inside `ByteLevel` (GPT-2, SmolLM2).
extern const std::string_view kGpt2Regex;
/// Qwen2, Qwen2.5, Qwen3, DeepSeek-R1-Distill-Qwen.
extern const std::string_view kQwen2Regex;
/// Llama-3, DeepSeek-R1-Distill-Llama.
extern const std::string_view kLlama3Regex;
/// GPT-4o, gpt-oss (tiktoken's o200k_base and o200k_harmony).
extern const std::string_view kO200kRegex;

struct Span {
  size_t begin = 0;
  size_t end = 0;
  bool matched = false;  ///< else the text between two matches
};

/// Immutable; may be used from any thread.
class Scanner {
 public:
  virtual ~Scanner() = default;

  /// Replaces `spans` by the matches in `text` (valid UTF-8), leftmost first, and the gaps between
  /// them: together they cover it. Empty matches are passed over.
  virtual void scan(std::string_view text, std::vector<Span>& spans) const = 0;
};

/// Throws InputError, opening with `where`, when the expression cannot be compiled.
std::unique_ptr<Scanner> make_scanner(const std::string& regex, const std::string& where);

/// The same on PCRE2 always. `\s` and `\S` mean White_Space, as in Oniguruma; other classes follow
/// PCRE2's own Unicode version.
std::unique_ptr<Scanner> make_pcre2_scanner(const std::string& regex, const std::string& where);

/// Matches `literal` exactly.
std::unique_ptr<Scanner> make_literal_scanner(const std::string& literal);

}  // namespace weft
