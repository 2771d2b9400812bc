#include "model/tokenizer/metaspace.h"

#include "base/error.h"
#include "base/utf8.h"

namespace weft {

MetaspaceOptions MetaspaceOptions::from_json(const Json& json, const std::string& where) {
  MetaspaceOptions options;
  options.replacement = get_field<std::string>(json, "replacement", where);
  const std::string& text = options.replacement;
  if (text.empty() || decode_utf8(text, 0).length != std::ssize(text)) {
    throw InputError(where + ".replacement: expected one character, got \"" + text + "\"");
  }
  const auto scheme = get_field_or<std::string>(json, "prepend_scheme", "always", where);
  if (scheme == "first") {
    options.prepend = Prepend::kFirst;
  } else if (scheme == "never") {
    options.prepend = Prepend::kNever;
  } else if (scheme != "always") {
    throw InputError(where + ".prepend_scheme: expected always, first or never, got \"" + scheme +
                     "\"");
  }
  options.split = get_field_or<bool>(json, "split", true, where);
  return options;
}

}  // namespace weft
