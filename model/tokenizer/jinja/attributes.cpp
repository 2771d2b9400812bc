#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/python_string.h"
#include "base/utf8.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/jinja/number.h"
#include "model/tokenizer/jinja/objects.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {

using namespace python;
namespace {

// Public attributes of Python's types; those that change a value are withheld by the sandbox.
constexpr std::string_view kStr =
    " capitalize casefold center count encode endswith expandtabs find format format_map index "
    "isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace "
    "istitle isupper join ljust lower lstrip maketrans partition removeprefix removesuffix replace "
    "rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title "
    "translate upper zfill ";
constexpr std::string_view kDict = " copy fromkeys get items keys values ";
constexpr std::string_view kDictChanges = " clear pop popitem setdefault update ";
constexpr std::string_view kList = " copy count index ";
constexpr std::string_view kListChanges = " append clear extend insert pop remove reverse sort ";
constexpr std::string_view kTuple = " count index ";
constexpr std::string_view kRange = " count index start step stop ";
constexpr std::string_view kView = " isdisjoint mapping ";
constexpr std::string_view kInt =
    " as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag numerator real "
    "to_bytes is_integer ";
constexpr std::string_view kFloat =
    " as_integer_ratio conjugate fromhex hex imag is_integer real from_number ";
constexpr std::string_view kIterator = " close gi_code gi_frame gi_running send throw ";

bool is_in(std::string_view names, const std::string& name) {
  return names.find(" " + name + " ") != std::string_view::npos;
}

std::string_view attributes_of(const Value& value) {
  if (value.is_string() || value.is_markup()) return kStr;
  if (value.is_mapping()) return kDict;
  if (value.is_list()) return kList;
  if (value.is_tuple()) return kTuple;
  if (value.is_sequence(SequenceKind::kRange)) return kRange;
  if (value.is_iterator()) return kIterator;
  if (value.is_sequence()) return kView;
  if (value.is_integral()) return kInt;
  return value.is_float() ? kFloat : "";
}

bool is_withheld(const Value& value, const std::string& name) {
  return (value.is_mapping() && is_in(kDictChanges, name)) ||
         (value.is_list() && is_in(kListChanges, name));
}

// The attribute of Python's type, if it has one of this name.
const Value* find_attribute(Context& context, const Value& value, const std::string& name,
                            Value& place) {
  if (name.starts_with("__") && name.ends_with("__")) {
    throw InputError("the attribute " + name + " is not known here");
  }
  if (value.is_object()) {
    place = value.as_object()->attribute(context, name);
    return place.is_undefined() ? nullptr : &place;
  }
  if (is_withheld(value, name)) {
    place = Value::undefined(name);
    return &place;
  }
  if (!has_attribute(value, name)) return nullptr;
  const auto call = [value, name](Context& c, const Arguments& arguments) {
    return call_method(c, value, name, arguments);
  };
  const int depth = value.depth() + 1;
  if (depth > 200) throw InputError("values are nested too deeply for a method");
  place = Value(std::shared_ptr<Object>(std::make_shared<NativeFunction>(call, depth)));
  return &place;
}

const Value* find_item(Context& context, const Value& value, const Value& key, Value& place) {
  const bool hashable = key.is_string() || key.is_number() || key.is_none() || key.is_tuple();
  if (value.is_mapping() && hashable) return value.as_mapping().find(context, key);
  if (value.is_mapping() || !key.is_integral()) return nullptr;
  const Int wanted = key.as_int();
  if (value.is_indexed()) {
    const Items& items = value.as_sequence().items;
    const Int index = wanted < 0 ? wanted + static_cast<Int>(items.size()) : wanted;
    if (index < 0 || index >= static_cast<Int>(items.size())) return nullptr;
    return &items[static_cast<size_t>(index)];
  }
  if (!value.is_string()) return nullptr;
  const std::string& text = value.as_string();
  context.scan(text.size());
  const Int size = static_cast<Int>(count_characters(text));
  const Int index = wanted < 0 ? wanted + size : wanted;
  if (index < 0 || index >= size) return nullptr;
  const size_t begin = byte_of(text, static_cast<size_t>(index));
  place = text.substr(begin, static_cast<size_t>(decode_utf8(text, begin).length));
  return &place;
}

void refuse_undefined(const Value& value, const std::string& name) {
  if (value.is_undefined()) throw InputError("\"" + name + "\" of " + value.type_name());
  if (value.is_markup())
    throw InputError("\"" + name + "\" of text marked as safe is not known here");
}

// Where a slice of `size` items begins and ends, as Python clamps it.
struct Range {
  int64_t begin, end, step;
};

Range clamped(int64_t size, const Value& begin, const Value& end, const Value& step) {
  const auto number = [](const Value& value) {
    if (!value.is_integral()) wrong_type("an integer or none as a part of a slice", value);
    return static_cast<int64_t>(std::clamp(value.as_int(), Int{INT64_MIN / 4}, Int{INT64_MAX / 4}));
  };
  Range range{0, 0, step.is_none() ? 1 : number(step)};
  if (range.step == 0) throw InputError("a slice of step zero");
  const int64_t low = range.step > 0 ? 0 : -1, high = range.step > 0 ? size : size - 1;
  const auto bound = [&](const Value& value, int64_t fallback) {
    if (value.is_none()) return fallback;
    const int64_t at = number(value);
    return std::clamp(at < 0 ? at + size : at, low, high);
  };
  range.begin = bound(begin, range.step > 0 ? low : high);
  range.end = bound(end, range.step > 0 ? high : low);
  return range;
}

}  // namespace

bool has_attribute(const Value& value, const std::string& name) {
  return is_in(attributes_of(value), name);
}

Value get_attribute(Context& context, const Value& value, const std::string& name) {
  context.step();
  refuse_undefined(value, name);
  Value place;
  if (const Value* found = find_attribute(context, value, name, place)) return *found;
  if (const Value* found = find_item(context, value, name, place)) return *found;
  return Value::undefined(name);
}

Value get_item(Context& context, const Value& value, const Value& key) {
  context.step();
  const std::string name = key.is_string() ? key.as_string() : key.type_name();
  refuse_undefined(value, name);
  Value place;
  if (const Value* found = find_item(context, value, key, place)) return *found;
  if (key.is_string()) {
    if (const Value* found = find_attribute(context, value, name, place)) return *found;
  }
  return Value::undefined(name);
}

Value get_slice(Context& context, const Value& value, const Value& begin, const Value& end,
                const Value& step) {
  if (!value.is_string() && !value.is_indexed()) wrong_type("something to slice", value);
  const Range range = clamped(length(context, value), begin, end, step);
  Items picked;
  const Items items = items_of(context, value);
  for (int64_t i = range.begin; range.step > 0 ? i < range.end : i > range.end; i += range.step) {
    picked.push_back(items[static_cast<size_t>(i)]);
  }
  if (value.is_string()) {
    std::string out;
    for (const Value& item : picked) out += item.as_string();
    context.text(out.size());
    return out;
  }
  const Sequence& old = value.as_sequence();
  Value sliced = Value::sequence(old.kind, std::move(picked));
  Sequence& sequence = sliced.as_sequence();
  sequence.begin = old.begin + range.begin * old.step;
  sequence.end = old.begin + range.end * old.step;
  sequence.step = old.step * range.step;
  return sliced;
}

Value get_path(Context& context, const Value& value, const Value& path) {
  if (!path.is_string()) return get_item(context, value, path);
  Value at = value;
  const std::string& text = path.as_string();
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    const auto number = digits ? parse_int(part) : std::nullopt;
    at = get_item(context, at, number ? Value(*number) : Value(part));
    begin = end + 1;
  }
  return at;
}

}  // namespace weft::jinja
