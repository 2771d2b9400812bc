/// The `normalizer` of a tokenizer.json: text to text, before pre-tokenisation.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace weft {

/// Immutable; may be used from any thread.
class Normalizer {
 public:
  virtual ~Normalizer() = default;

  /// `text` is valid UTF-8.
  virtual std::string normalize(std::string_view text) const = 0;
};

/// Knows NFC, NFKC, Lowercase, Strip, Prepend, Replace with a string pattern, and Sequence; null
/// gives a null pointer. Throws InputError naming any other component.
std::unique_ptr<Normalizer> make_normalizer(const Json& json, const std::string& where);

}  // namespace weft
