/// Filters, tests, methods and functions that templates may use. Each lookup throws InputError
/// naming what is unknown.
#pragma once

#include <map>
#include <string>

#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

using Filter = Value (*)(Context&, const Value&, const Arguments&);
using Filters = std::map<std::string, Filter, std::less<>>;

/// Of texts and numbers; of sequences.
const Filters& text_filters();
const Filters& sequence_filters();

/// `value | name(arguments)`.
Value apply_filter(Context& context, const std::string& name, const Value& value,
                   const Arguments& arguments);

/// `value is name(arguments)`.
bool apply_test(Context& context, const std::string& name, const Value& value,
                const Arguments& arguments);

/// `value.name(arguments)`.
Value call_method(Context& context, const Value& value, const std::string& name,
                  const Arguments& arguments);

/// Whether Python's type of `value` has the public attribute `name`.
bool has_attribute(const Value& value, const std::string& name);

/// `value.name`: the attribute before the item, as jinja2's getattr. Undefined where there is
/// neither, and where jinja2's sandbox withholds it. Throws InputError for an undefined value.
Value get_attribute(Context& context, const Value& value, const std::string& name);

/// `value[key]`: the item before the attribute, as jinja2's getitem.
Value get_item(Context& context, const Value& value, const Value& key);

/// `value[begin:end:step]`; None stands for a part that is left out.
Value get_slice(Context& context, const Value& value, const Value& begin, const Value& end,
                const Value& step);

/// `value` with a path of attributes as the filters take it: "a.b.0".
Value get_path(Context& context, const Value& value, const Value& path);

/// range, namespace, dict, joiner, cycler, raise_exception and strftime_now.
const std::map<std::string, Value, std::less<>>& global_functions();

}  // namespace weft::jinja
