/// The component Metaspace of a tokenizer.json: spaces as a character of their own.
#pragma once

#include <string>

#include "base/json.h"

namespace weft {

struct MetaspaceOptions {
  enum class Prepend { kAlways, kFirst, kNever };

  std::string replacement = "\u2581";  ///< one character
  Prepend prepend = Prepend::kAlways;  ///< where a text does not begin with one
  bool split = true;                   ///< before each of them

  /// Of a pre_tokenizer or a decoder. Throws InputError with `where` and the field.
  static MetaspaceOptions from_json(const Json& json, const std::string& where);
};

}  // namespace weft
