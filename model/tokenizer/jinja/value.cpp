#include "model/tokenizer/jinja/value.h"

#include <cstring>

#include "base/error.h"
#include "base/python_string.h"
#include "base/utf8.h"
#include "model/tokenizer/jinja/number.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {

using namespace python;
namespace {

constexpr int kMaxValueDepth = 256;

int checked_depth(int depth) {
  if (depth > kMaxValueDepth) {
    throw InputError("values are nested deeper than " + std::to_string(kMaxValueDepth) + " levels");
  }
  return depth;
}

std::string text_hash(std::string_view text) { return "s" + std::string(text); }

}  // namespace

void wrong_type(const std::string& expected, const Value& got) {
  throw InputError("expected " + expected + ", got " + got.type_name());
}

Value Object::attribute(Context&, const std::string& name) { return Value::undefined(name); }

Value Object::call(Context&, const Arguments&) {
  throw InputError(std::string("expected something to call, got ") + type_name());
}

const Value* Mapping::find(Context& context, const Value& key) const {
  const auto found = index_.find(hash_text(context, key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const Value* Mapping::find(std::string_view key) const {
  const auto found = index_.find(text_hash(key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

void Mapping::set(Context& context, const Value& key, Value value) {
  context.step();
  set(hash_text(context, key), key, std::move(value));
}

void Mapping::set(const std::string& key, Value value) {
  set(text_hash(key), key, std::move(value));
}

void Mapping::set(std::string hash, const Value& key, Value value) {
  depth_ = checked_depth(std::max(depth_, 1 + std::max(key.depth(), value.depth())));
  const auto [place, added] = index_.emplace(std::move(hash), entries_.size());
  if (added) {
    entries_.emplace_back(key, std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

void Mapping::clear() {
  index_.clear();
  entries_.clear();
}

Value::Value(Mapping v) : data_(std::make_shared<Mapping>(std::move(v))) {}

Value Value::sequence(SequenceKind kind, Items items) {
  auto sequence = std::make_shared<Sequence>();
  sequence->kind = kind;
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  sequence->depth = checked_depth(depth + 1);
  sequence->items = std::move(items);
  Value value;
  value.data_ = std::move(sequence);
  return value;
}

Value Value::undefined(std::string name) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(std::move(name))};
  return value;
}

bool Value::is_indexed() const {
  return is_list() || is_tuple() || is_sequence(SequenceKind::kRange);
}

Int Value::as_int() const {
  if (is_bool()) return std::get<bool>(data_);
  if (!is_int()) wrong_type("an integer", *this);
  return std::get<Int>(data_);
}

int64_t Value::as_index() const {
  const Int value = as_int();
  if (value > INT64_MAX || value < INT64_MIN) throw InputError("the integer is too large here");
  return static_cast<int64_t>(value);
}

double Value::as_float() const {
  if (is_float()) return std::get<double>(data_);
  if (!is_number()) wrong_type("a number", *this);
  return static_cast<double>(as_int());
}

const std::string& Value::as_string() const {
  if (!is_string()) wrong_type("a string", *this);
  return *std::get<Text>(data_);
}

const std::string& Value::as_markup() const {
  if (!is_markup()) wrong_type("text marked as safe", *this);
  return *std::get<Markup>(data_).text;
}

Sequence& Value::as_sequence() const {
  if (!is_sequence()) wrong_type("a list", *this);
  return *std::get<std::shared_ptr<Sequence>>(data_);
}

Mapping& Value::as_mapping() const {
  if (!is_mapping()) wrong_type("a mapping", *this);
  return *std::get<std::shared_ptr<Mapping>>(data_);
}

const std::shared_ptr<Object>& Value::as_object() const {
  if (!is_object()) wrong_type("something to call", *this);
  return std::get<std::shared_ptr<Object>>(data_);
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_integral()) return as_int() != 0;
  if (is_float()) return as_float() != 0;
  if (is_string()) return !as_string().empty();
  if (is_markup()) return !as_markup().empty();
  if (is_sequence()) return is_iterator() || !as_sequence().items.empty();
  if (is_mapping()) return as_mapping().size() > 0;
  return true;
}

std::string Value::type_name() const {
  static const char* const kNames[] = {
      "", "none", "boolean", "integer", "float", "string", "text marked as safe"};
  static const char* const kSequences[] = {
      "list",    "tuple", "range", "keys of a mapping", "values of a mapping", "items of a mapping",
      "iterator"};
  if (is_undefined()) {
    const Text& name = std::get<Undefined>(data_).name;
    return "undefined variable " + (name ? *name : std::string());
  }
  if (is_sequence()) return kSequences[static_cast<size_t>(as_sequence().kind)];
  if (is_mapping()) return "mapping";
  if (is_object()) return as_object()->type_name();
  return kNames[data_.index()];
}

int Value::depth() const {
  if (is_sequence()) return as_sequence().depth;
  if (is_mapping()) return as_mapping().depth();
  return is_object() ? as_object()->depth : 0;
}

bool Value::same(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  if (is_sequence()) return &as_sequence() == &other.as_sequence();
  if (is_mapping()) return &as_mapping() == &other.as_mapping();
  return is_object() && as_object() == other.as_object();
}

bool equal(Context& context, const Value& a, const Value& b) {
  context.step();
  if (a.is_number() && b.is_number()) return order(a, b) == Order::kEqual;
  if (a.same(b)) return true;
  if (a.is_string() && b.is_string()) {
    context.scan(a.as_string().size());
    return a.as_string() == b.as_string();
  }
  if (a.is_mapping() && b.is_mapping()) {
    if (a.as_mapping().size() != b.as_mapping().size()) return false;
    for (const auto& [key, item] : a.as_mapping().entries()) {
      const Value* other = b.as_mapping().find(context, key);
      if (!other || !equal(context, item, *other)) return false;
    }
    return true;
  }
  if (a.is_indexed() && b.is_indexed()) {
    const Sequence &x = a.as_sequence(), &y = b.as_sequence();
    if (x.kind != y.kind || x.items.size() != y.items.size()) return false;
    for (size_t i = 0; i < x.items.size(); ++i) {
      if (!equal(context, x.items[i], y.items[i])) return false;
    }
    return true;
  }
  if (a.is_markup() || b.is_markup() || (a.is_sequence() && b.is_sequence() && !a.is_indexed())) {
    throw InputError("comparing " + a.type_name() + " with " + b.type_name() +
                     " is not known here");
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(Context& context, const Value& a, const Value& b, bool or_equal) {
  context.step();
  if (a.is_string() && b.is_string()) {
    context.scan(a.as_string().size());
    const int sign = a.as_string().compare(b.as_string());
    return or_equal ? sign <= 0 : sign < 0;
  }
  if (a.is_number() && b.is_number()) {
    const Order result = order(a, b);
    return result == Order::kLess || (or_equal && result == Order::kEqual);
  }
  if ((a.is_list() && b.is_list()) || (a.is_tuple() && b.is_tuple())) {
    const Items &x = a.as_sequence().items, &y = b.as_sequence().items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!equal(context, x[i], y[i])) return less(context, x[i], y[i], or_equal);
    }
    return or_equal ? x.size() <= y.size() : x.size() < y.size();
  }
  throw InputError("an order between " + a.type_name() + " and " + b.type_name() +
                   " is not known here");
}

std::string hash_text(Context& context, const Value& value) {
  context.step();
  if (value.is_string()) {
    context.scan(value.as_string().size());
    return text_hash(value.as_string());
  }
  if (value.is_number()) {
    if (value.is_float() && value.as_float() != value.as_float()) {
      throw InputError("nan as a key is not known here");
    }
    return "n" + number_hash(value);
  }
  if (value.is_none()) return "0";
  if (value.is_undefined()) return "u";
  if (value.is_tuple()) {
    std::string out = "(";
    for (const Value& item : value.as_sequence().items) {
      const std::string part = hash_text(context, item);
      out += std::to_string(part.size()) + ":" + part;
      context.text(out.size());
    }
    return out;
  }
  if (value.is_object()) {
    return "o" + std::to_string(reinterpret_cast<uintptr_t>(value.as_object().get()));
  }
  if (value.is_markup() || (value.is_sequence() && !value.is_list())) {
    throw InputError("a " + value.type_name() + " as a key is not known here");
  }
  throw InputError("a " + value.type_name() + " cannot be a key");
}

Value from_json(const Json& json, int depth) {
  checked_depth(depth);
  if (json.is_null()) return None{};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned()) return Int{json.get<uint64_t>()};
  if (json.is_number_integer()) return Int{json.get<int64_t>()};
  if (json.is_number()) {
    const double value = json.get<double>();
    if (value >= 0x1p64 || value <= -0x1p63) {
      throw InputError("the number " + json.dump() +
                       " may have been an integer that is not kept exactly: expected at most 64 "
                       "bits, or text");
    }
    return value;
  }
  if (json.is_string()) return to_valid_utf8(json.get_ref<const std::string&>());
  if (json.is_array()) {
    Items items;
    for (const Json& item : json) items.push_back(from_json(item, depth + 1));
    return Value::list(std::move(items));
  }
  Mapping mapping;
  for (const auto& [key, item] : json.items()) {
    mapping.set(to_valid_utf8(key), from_json(item, depth + 1));
  }
  return mapping;
}

int64_t length(Context& context, const Value& value) {
  if (value.is_mapping()) return static_cast<int64_t>(value.as_mapping().size());
  if (value.is_undefined()) return 0;
  if (value.is_string() || value.is_markup()) {
    const std::string& text = value.is_string() ? value.as_string() : value.as_markup();
    context.scan(text.size());
    return static_cast<int64_t>(count_characters(text));
  }
  if (!value.is_sequence() || value.is_iterator()) wrong_type("something with a length", value);
  return static_cast<int64_t>(value.as_sequence().items.size());
}

Items items_of(Context& context, const Value& value) {
  if (value.is_undefined()) return {};
  if (value.is_sequence()) {
    Sequence& sequence = value.as_sequence();
    context.step(sequence.items.size() - sequence.at);
    const auto begin = sequence.items.begin() + static_cast<std::ptrdiff_t>(sequence.at);
    Items items(begin, sequence.items.end());
    if (value.is_iterator()) sequence.at = sequence.items.size();
    return items;
  }
  Items items;
  if (value.is_mapping()) {
    context.step(value.as_mapping().size());
    for (const auto& [key, item] : value.as_mapping().entries()) items.push_back(key);
    return items;
  }
  if (!value.is_string()) wrong_type("something to iterate over", value);
  context.step(value.as_string().size());
  for (const std::string_view c : characters(value.as_string())) items.emplace_back(c);
  return items;
}

bool contains(Context& context, const Value& haystack, const Value& needle) {
  context.step();
  if (haystack.is_string()) {
    const std::string &text = haystack.as_string(), &part = needle.as_string();
    context.scan(text.size());
    return find_text(text, part) != std::string::npos;
  }
  if (haystack.is_mapping()) return haystack.as_mapping().find(context, needle) != nullptr;
  if (haystack.is_undefined()) return false;
  if (!haystack.is_sequence()) wrong_type("something to look into", haystack);
  Sequence& sequence = haystack.as_sequence();
  if (haystack.is_sequence(SequenceKind::kKeys)) hash_text(context, needle);
  for (size_t i = sequence.at; i < sequence.items.size(); ++i) {
    if (haystack.is_iterator()) sequence.at = i + 1;
    if (equal(context, sequence.items[i], needle)) return true;
  }
  return false;
}

}  // namespace weft::jinja
