/// Values as text.
#pragma once

#include <string>

#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

/// As `{{ value }}` prints it: Python's str(), nothing for an undefined value. Throws InputError
/// for values that Python prints with an address (iterators, functions, macros).
std::string to_text(Context& context, const Value& value);

/// Python's repr(), as it appears inside a printed list.
std::string to_repr(Context& context, const Value& value);

/// Arguments of Python's json.dumps.
struct JsonStyle {
  bool ensure_ascii = false;
  bool lines = false;  ///< `indent` is not None
  std::string indent;  ///< of one level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

std::string to_json(Context& context, const Value& value, const JsonStyle& style);

/// Python's format(value, spec): [[fill]align][sign][0][width][,][.precision][type]. Throws
/// InputError for what is not known here.
std::string format_value(Context& context, const Value& value, const std::string& spec);

/// text.format(arguments) and text % value.
std::string format_text(Context& context, const std::string& text, const Arguments& arguments);
std::string percent_text(Context& context, const std::string& text, const Value& value);

}  // namespace weft::jinja
