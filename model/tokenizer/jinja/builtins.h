/// Filters, tests, methods and functions that templates may use. Each lookup throws InputError
/// naming what is unknown.
#pragma once

#include <string>

#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

/// `value | name(arguments)`.
Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments);

/// `value is name(argument)`.
bool apply_test(const std::string& name, const Value& value, const Arguments& arguments);

/// Whether `value.name(...)` is a method of the value's type.
bool has_method(const Value& value, const std::string& name);

/// `value.name(arguments)`.
Value call_method(const Value& value, const std::string& name, const Arguments& arguments);

/// range, namespace, dict, raise_exception and strftime_now.
Dict global_functions();

/// value[key] of a dict, a list or a string; undefined where it is not there.
Value get_item(const Value& value, const Value& key);

/// Python's `needle in haystack`.
bool contains(const Value& haystack, const Value& needle);

}  // namespace weft::jinja
