#include <algorithm>
#include <cmath>
#include <limits>

#include "base/base64.h"
#include "base/error.h"
#include "sandbox/value/value.h"

namespace weft {
namespace {

using Kind = PythonValue::Kind;
constexpr int64_t kExactInJson = int64_t{1} << 53;

[[noreturn]] void throw_shape(const std::string& where, const std::string& tag,
                              const char* expected) {
  throw InputError(where + ": \"" + tag + "\" expects " + expected);
}

PythonValue container(Kind kind, const Json& items, const std::string& where) {
  PythonValue value;
  value.kind = kind;
  value.items.reserve(items.size());
  for (const auto& item : items) value.items.push_back(value_from_json(item, where));
  return value;
}

PythonValue dict_from_pairs(const Json& pairs, const std::string& where) {
  PythonValue value;
  value.kind = Kind::kDict;
  for (const auto& pair : pairs) {
    if (!pair.is_array() || pair.size() != 2) throw_shape(where, "$dict", "[key, value] pairs");
    value.items.push_back(value_from_json(pair[0], where));
    value.items.push_back(value_from_json(pair[1], where));
  }
  return value;
}

PythonValue float_from_name(const Json& name, const std::string& where) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (name == "nan") return PythonValue::real_number(std::nan(""));
  if (name == "inf") return PythonValue::real_number(kInfinity);
  if (name == "-inf") return PythonValue::real_number(-kInfinity);
  throw_shape(where, "$float", "\"nan\", \"inf\" or \"-inf\"");
}

double part_of_complex(const Json& part, const std::string& where) {
  const PythonValue value = value_from_json(part, where);
  if (value.kind == Kind::kFloat) return value.real;
  if (value.kind != Kind::kInt) throw_shape(where, "$complex", "two numbers");
  return static_cast<double>(value.number);
}

bool is_small_int(const PythonValue& value) { return value.kind == Kind::kInt; }

PythonValue range_of(const Json& bounds, const std::string& where) {
  PythonValue value = container(Kind::kRange, bounds, where);
  if (value.items.size() != 3 ||
      !std::all_of(value.items.begin(), value.items.end(), is_small_int) ||
      value.items[2].number == 0) {
    throw_shape(where, "$range", "[start, stop, step] in 64 bits, step not 0");
  }
  return value;
}

PythonValue fraction_of(const Json& parts, const std::string& where) {
  PythonValue value = container(Kind::kFraction, parts, where);
  const auto is_integer = [](const PythonValue& part) {
    return part.kind == Kind::kInt || part.kind == Kind::kBigInt;
  };
  if (value.items.size() != 2 || !is_integer(value.items[0]) || !is_positive(value.items[1])) {
    throw_shape(where, "$fraction", "[numerator, positive denominator] in lowest terms");
  }
  return value;
}

PythonValue tagged(const std::string& tag, const Json& body, const std::string& where) {
  const auto need_array = [&] {
    if (!body.is_array()) throw_shape(where, tag, "an array");
  };
  const auto need_string = [&] {
    if (!body.is_string()) throw_shape(where, tag, "a string");
  };
  PythonValue value;
  if (tag == "$tuple" || tag == "$set" || tag == "$frozenset" || tag == "$deque") {
    need_array();
    return container(tag == "$tuple"       ? Kind::kTuple
                     : tag == "$set"       ? Kind::kSet
                     : tag == "$frozenset" ? Kind::kFrozenset
                                           : Kind::kDeque,
                     body, where);
  }
  if (tag == "$dict" || tag == "$range" || tag == "$fraction") {
    need_array();
    return tag == "$dict"    ? dict_from_pairs(body, where)
           : tag == "$range" ? range_of(body, where)
                             : fraction_of(body, where);
  }
  if (tag == "$float") return float_from_name(body, where);
  if (tag == "$int") {
    need_string();
    try {
      return python_int(body.get<std::string>());
    } catch (const InputError& error) {
      throw InputError(where + ": \"$int\": " + error.what());
    }
  }
  if (tag == "$bytes") {
    need_string();
    value.kind = Kind::kBytes;
    auto bytes = base64_decode(body.get<std::string>());
    if (!bytes) throw InputError(where + ": \"$bytes\" is not base64");
    value.text = std::move(*bytes);
    return value;
  }
  if (tag == "$complex") {
    if (!body.is_array() || body.size() != 2) throw_shape(where, tag, "two numbers");
    value.kind = Kind::kComplex;
    value.real = part_of_complex(body[0], where);
    value.imag = part_of_complex(body[1], where);
    return value;
  }
  throw InputError(where + ": unknown tag \"" + tag +
                   "\" of a Python value; a dict with such a key is written as \"$dict\"");
}

Json float_to_json(double number) {
  if (std::isnan(number)) return {{"$float", "nan"}};
  if (std::isinf(number)) return {{"$float", number > 0 ? "inf" : "-inf"}};
  return number;
}

Json dict_to_json(const PythonValue& value) {
  bool plain = true;
  for (size_t i = 0; i < value.items.size(); i += 2) plain = plain && value.items[i].is_str();
  if (plain && value.items.size() == 2 && value.items[0].text.starts_with('$')) plain = false;
  if (plain) {
    Json object = Json::object();
    for (size_t i = 0; i < value.items.size(); i += 2) {
      object[value.items[i].text] = value_to_json(value.items[i + 1]);
    }
    return object;
  }
  Json pairs = Json::array();
  for (size_t i = 0; i < value.items.size(); i += 2) {
    pairs.push_back(
        Json::array({value_to_json(value.items[i]), value_to_json(value.items[i + 1])}));
  }
  return Json{{"$dict", pairs}};
}

Json items_to_json(const PythonValue& value) {
  Json items = Json::array();
  for (const auto& item : value.items) items.push_back(value_to_json(item));
  return items;
}

Json tag_of(const char* tag, Json body) {
  Json object = Json::object();
  object[tag] = std::move(body);
  return object;
}

}  // namespace

PythonValue value_from_json(const Json& json, const std::string& where) {
  switch (json.type()) {
    case Json::value_t::null:
      return PythonValue::none();
    case Json::value_t::boolean:
      return PythonValue::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return PythonValue::integer(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      return python_int(std::to_string(json.get<uint64_t>()));
    case Json::value_t::number_float:
      return PythonValue::real_number(json.get<double>());
    case Json::value_t::string:
      return PythonValue::str(json.get<std::string>());
    case Json::value_t::array:
      return container(Kind::kList, json, where);
    case Json::value_t::object:
      break;
    default:
      throw InputError(where + ": not a Python value");
  }
  if (json.size() == 1 && json.begin().key().starts_with('$')) {
    return tagged(json.begin().key(), json.begin().value(), where);
  }
  PythonValue dict;
  dict.kind = Kind::kDict;
  for (const auto& [key, item] : json.items()) {
    dict.items.push_back(PythonValue::str(key));
    dict.items.push_back(value_from_json(item, where));
  }
  return dict;
}

Json value_to_json(const PythonValue& value) {
  switch (value.kind) {
    case Kind::kNone:
      return nullptr;
    case Kind::kBool:
      return value.number != 0;
    case Kind::kInt:
      if (std::abs(value.number) <= kExactInJson) return value.number;
      [[fallthrough]];
    case Kind::kBigInt:
      return tag_of("$int", int_digits(value));
    case Kind::kFloat:
      return float_to_json(value.real);
    case Kind::kComplex:
      return tag_of("$complex",
                    Json::array({float_to_json(value.real), float_to_json(value.imag)}));
    case Kind::kStr:
      return value.text;
    case Kind::kBytes:
      return tag_of("$bytes", base64_encode(value.text));
    case Kind::kList:
      return items_to_json(value);
    case Kind::kTuple:
      return tag_of("$tuple", items_to_json(value));
    case Kind::kSet:
      return tag_of("$set", items_to_json(value));
    case Kind::kFrozenset:
      return tag_of("$frozenset", items_to_json(value));
    case Kind::kDict:
      return dict_to_json(value);
    case Kind::kDeque:
      return tag_of("$deque", items_to_json(value));
    case Kind::kRange:
      return tag_of("$range", items_to_json(value));
    case Kind::kFraction:
      return tag_of("$fraction", items_to_json(value));
  }
  return nullptr;
}

}  // namespace weft
