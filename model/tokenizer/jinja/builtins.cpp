#include "model/tokenizer/jinja/builtins.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

#include "base/error.h"

namespace weft::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;

Value argument(const Arguments& arguments, size_t index, const std::string& name, Value fallback) {
  if (index < arguments.positional.size()) return arguments.positional[index];
  const Value* named = find(arguments.named, name);
  return named ? *named : std::move(fallback);
}

Value require(const Arguments& arguments, size_t index, const char* of) {
  if (index >= arguments.positional.size()) {
    throw InputError(std::string("chat template: ") + of + " misses an argument");
  }
  return arguments.positional[index];
}

using Filter = Value (*)(const Value&, const Arguments&);

std::string method_text(const Value& value, const char* method) {
  return call_method(to_text(value), method, {}).as_string();
}

Value join_filter(const Value& value, const Arguments& arguments) {
  const std::string separator = to_text(argument(arguments, 0, "d", ""));
  const Value attribute = argument(arguments, 1, "attribute", None{});
  std::string out;
  bool first = true;
  for (const Value& item : items_of(value)) {
    if (!first) out += separator;
    first = false;
    out += to_text(attribute.is_none() ? item : get_item(item, attribute));
  }
  return out;
}

Value items_filter(const Value& value) {
  List pairs;
  if (value.is_undefined()) return pairs;
  for (const auto& [key, item] : value.as_dict()) pairs.emplace_back(List{Value(key), item});
  return pairs;
}

Value map_filter(const Value& value, const Arguments& arguments) {
  const Value* attribute = find(arguments.named, "attribute");
  Arguments rest;
  std::string filter;
  if (!attribute) {
    filter = require(arguments, 0, "map").as_string();
    rest.positional.assign(arguments.positional.begin() + 1, arguments.positional.end());
    rest.named = arguments.named;
  }
  List out;
  for (const Value& item : items_of(value)) {
    out.push_back(attribute ? get_item(item, *attribute) : apply_filter(filter, item, rest));
  }
  return out;
}

// select, reject, selectattr and rejectattr.
Value select_items(const Value& value, const Arguments& arguments, bool by_attribute, bool keep) {
  const size_t first = by_attribute ? 1 : 0;
  Arguments rest;
  for (size_t i = first + 1; i < arguments.positional.size(); ++i) {
    rest.positional.push_back(arguments.positional[i]);
  }
  List out;
  for (const Value& item : items_of(value)) {
    const Value tested = by_attribute ? get_item(item, require(arguments, 0, "selectattr")) : item;
    const bool passed = arguments.positional.size() > first
                            ? apply_test(arguments.positional[first].as_string(), tested, rest)
                            : tested.truthy();
    if (passed == keep) out.push_back(item);
  }
  return out;
}

Value indent_filter(const Value& value, const Arguments& arguments) {
  const auto width = argument(arguments, 0, "width", 4);
  const std::string pad =
      width.is_string() ? width.as_string() : std::string(static_cast<size_t>(width.as_int()), ' ');
  const bool first = argument(arguments, 1, "first", false).truthy();
  std::string out = first ? pad : "";
  const std::string text = to_text(value);
  for (size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    const bool blank_next = i + 1 == text.size() || text[i + 1] == '\n';
    if (text[i] == '\n' && !blank_next) out += pad;
  }
  return out;
}

Value int_filter(const Value& value, const Arguments& arguments) {
  if (value.is_float()) return static_cast<int64_t>(value.as_float());
  if (value.is_number()) return value.as_int();
  try {
    return int64_t{std::stoll(to_text(value))};
  } catch (const std::exception&) {
    return argument(arguments, 0, "default", 0);
  }
}

Value sort_filter(const Value& value, const Arguments& arguments) {
  List items = items_of(value);
  const Value attribute = argument(arguments, 2, "attribute", None{});
  std::stable_sort(items.begin(), items.end(), [&](const Value& a, const Value& b) {
    return attribute.is_none() ? less(a, b) : less(get_item(a, attribute), get_item(b, attribute));
  });
  if (argument(arguments, 0, "reverse", false).truthy()) std::reverse(items.begin(), items.end());
  return items;
}

Value unique_filter(const Value& value, const Arguments&) {
  List out;
  for (const Value& item : items_of(value)) {
    if (!contains(out, item)) out.push_back(item);
  }
  return out;
}

Value end_item(const Value& value, bool last) {
  const List items = items_of(value);
  if (items.empty()) return Undefined{last ? "last item" : "first item"};
  return last ? items.back() : items.front();
}

Value reversed(const Value& value) {
  List items = items_of(value);
  std::reverse(items.begin(), items.end());
  if (!value.is_string()) return items;
  return join_filter(items, {});
}

Value defaulted(const Value& value, const Arguments& arguments) {
  const bool falsy_too = argument(arguments, 1, "boolean", false).truthy();
  const bool missing = value.is_undefined() || (falsy_too && !value.truthy());
  return missing ? argument(arguments, 0, "default_value", "") : value;
}

const std::map<std::string, Filter>& filters() {
  static const std::map<std::string, Filter> table = {
      {"trim",
       [](const Value& v, const Arguments& a) { return call_method(to_text(v), "strip", a); }},
      {"length", [](const Value& v, const Arguments&) { return Value(length(v)); }},
      {"count", [](const Value& v, const Arguments&) { return Value(length(v)); }},
      {"tojson",
       [](const Value& v, const Arguments& a) {
         const Value indent = argument(a, 0, "indent", None{});
         return Value(to_json(v, indent.is_none() ? -1 : static_cast<int>(indent.as_int())));
       }},
      {"join", join_filter},
      {"items", [](const Value& v, const Arguments&) { return items_filter(v); }},
      {"map", map_filter},
      {"select",
       [](const Value& v, const Arguments& a) { return select_items(v, a, false, true); }},
      {"reject",
       [](const Value& v, const Arguments& a) { return select_items(v, a, false, false); }},
      {"selectattr",
       [](const Value& v, const Arguments& a) { return select_items(v, a, true, true); }},
      {"rejectattr",
       [](const Value& v, const Arguments& a) { return select_items(v, a, true, false); }},
      {"list", [](const Value& v, const Arguments&) { return Value(items_of(v)); }},
      {"string", [](const Value& v, const Arguments&) { return Value(to_text(v)); }},
      {"safe", [](const Value& v, const Arguments&) { return v; }},
      {"int", int_filter},
      {"upper", [](const Value& v, const Arguments&) { return Value(method_text(v, "upper")); }},
      {"lower", [](const Value& v, const Arguments&) { return Value(method_text(v, "lower")); }},
      {"capitalize",
       [](const Value& v, const Arguments&) { return Value(method_text(v, "capitalize")); }},
      {"replace",
       [](const Value& v, const Arguments& a) { return call_method(to_text(v), "replace", a); }},
      {"first", [](const Value& v, const Arguments&) { return end_item(v, false); }},
      {"last", [](const Value& v, const Arguments&) { return end_item(v, true); }},
      {"reverse", [](const Value& v, const Arguments&) { return reversed(v); }},
      {"default", defaulted},
      {"d", defaulted},
      {"indent", indent_filter},
      {"sort", sort_filter},
      {"unique", unique_filter},
  };
  return table;
}

using Test = bool (*)(const Value&, const Arguments&);

const std::map<std::string, Test>& tests() {
  static const Test kEqual = [](const Value& v, const Arguments& a) {
    return equal(v, require(a, 0, "equalto"));
  };
  static const std::map<std::string, Test> table = {
      {"defined", [](const Value& v, const Arguments&) { return !v.is_undefined(); }},
      {"undefined", [](const Value& v, const Arguments&) { return v.is_undefined(); }},
      {"none", [](const Value& v, const Arguments&) { return v.is_none(); }},
      {"string", [](const Value& v, const Arguments&) { return v.is_string(); }},
      {"mapping", [](const Value& v, const Arguments&) { return v.is_dict(); }},
      {"number", [](const Value& v, const Arguments&) { return v.is_number(); }},
      {"integer", [](const Value& v, const Arguments&) { return v.is_int(); }},
      {"float", [](const Value& v, const Arguments&) { return v.is_float(); }},
      {"boolean", [](const Value& v, const Arguments&) { return v.is_bool(); }},
      {"callable", [](const Value& v, const Arguments&) { return v.is_function(); }},
      {"true", [](const Value& v, const Arguments&) { return v.is_bool() && v.truthy(); }},
      {"false", [](const Value& v, const Arguments&) { return v.is_bool() && !v.truthy(); }},
      {"iterable",
       [](const Value& v, const Arguments&) {
         return v.is_string() || v.is_list() || v.is_dict() || v.is_undefined();
       }},
      {"sequence",
       [](const Value& v, const Arguments&) {
         return v.is_string() || v.is_list() || v.is_dict() || v.is_undefined();
       }},
      {"odd", [](const Value& v, const Arguments&) { return v.as_int() % 2 != 0; }},
      {"even", [](const Value& v, const Arguments&) { return v.as_int() % 2 == 0; }},
      {"divisibleby",
       [](const Value& v, const Arguments& a) {
         const int64_t by = require(a, 0, "divisibleby").as_int();
         if (by == 0) throw InputError("chat template: divisibleby zero");
         return v.as_int() % by == 0;
       }},
      {"equalto", kEqual},
      {"eq", kEqual},
      {"sameas", kEqual},
      {"ne", [](const Value& v, const Arguments& a) { return !equal(v, require(a, 0, "ne")); }},
      {"lt", [](const Value& v, const Arguments& a) { return less(v, require(a, 0, "lt")); }},
      {"gt", [](const Value& v, const Arguments& a) { return less(require(a, 0, "gt"), v); }},
      {"le", [](const Value& v, const Arguments& a) { return !less(require(a, 0, "le"), v); }},
      {"ge", [](const Value& v, const Arguments& a) { return !less(v, require(a, 0, "ge")); }},
      {"in", [](const Value& v, const Arguments& a) { return contains(require(a, 0, "in"), v); }},
  };
  return table;
}

Value range_function(const Arguments& arguments) {
  const size_t count = arguments.positional.size();
  const int64_t begin = count > 1 ? arguments.positional[0].as_int() : 0;
  const int64_t end = require(arguments, count > 1 ? 1 : 0, "range").as_int();
  const int64_t step = count > 2 ? arguments.positional[2].as_int() : 1;
  List items;
  for (int64_t i = begin; step > 0 ? i < end : (step < 0 && i > end); i += step) {
    if (items.size() >= kMaxRange) throw InputError("chat template: range has too many items");
    items.emplace_back(i);
  }
  return items;
}

Value strftime_now(const Arguments& arguments) {
  const std::string format = require(arguments, 0, "strftime_now").as_string();
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::string text(format.size() * 16 + 64, '\0');
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &local));
  return text;
}

}  // namespace

Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments) {
  const auto found = filters().find(name);
  if (found == filters().end()) {
    throw InputError("chat template: the filter \"" + name + "\" is unknown");
  }
  return found->second(value, arguments);
}

bool apply_test(const std::string& name, const Value& value, const Arguments& arguments) {
  static const std::map<std::string, std::string> symbols = {
      {"==", "eq"}, {"!=", "ne"}, {"<", "lt"}, {">", "gt"}, {"<=", "le"}, {">=", "ge"}};
  const auto symbol = symbols.find(name);
  const auto found = tests().find(symbol == symbols.end() ? name : symbol->second);
  if (found == tests().end()) {
    throw InputError("chat template: the test \"" + name + "\" is unknown");
  }
  return found->second(value, arguments);
}

Dict global_functions() {
  const auto make_dict = [](const Arguments& arguments) {
    Dict dict;
    if (!arguments.positional.empty()) dict = arguments.positional[0].as_dict();
    for (const auto& [key, value] : arguments.named) assign(dict, key, value);
    return Value(std::move(dict));
  };
  const auto raise = [](const Arguments& arguments) -> Value {
    throw InputError("chat template: " + to_text(require(arguments, 0, "raise_exception")));
  };
  return {{"range", Function(range_function)},
          {"namespace", Function(make_dict)},
          {"dict", Function(make_dict)},
          {"raise_exception", Function(raise)},
          {"strftime_now", Function(strftime_now)}};
}

Value get_item(const Value& value, const Value& key) {
  const Undefined missing{key.is_string() ? key.as_string() : to_repr(key)};
  if (value.is_dict()) {
    const Value* found = key.is_string() ? find(value.as_dict(), key.as_string()) : nullptr;
    return found ? *found : Value(missing);
  }
  if (value.is_undefined()) {
    throw InputError("chat template: \"" + missing.name + "\" of " + value.type_name());
  }
  if (!key.is_int() || !(value.is_list() || value.is_string())) return missing;
  const List items = items_of(value);
  const auto size = static_cast<int64_t>(items.size());
  const int64_t index = key.as_int() < 0 ? key.as_int() + size : key.as_int();
  return index >= 0 && index < size ? items[static_cast<size_t>(index)] : Value(missing);
}

bool contains(const Value& haystack, const Value& needle) {
  if (haystack.is_string()) {
    return haystack.as_string().find(needle.as_string()) != std::string::npos;
  }
  if (haystack.is_dict()) {
    return needle.is_string() && find(haystack.as_dict(), needle.as_string()) != nullptr;
  }
  const List items = items_of(haystack);
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& item) { return equal(item, needle); });
}

}  // namespace weft::jinja
