#include <algorithm>
#include <cctype>
#include <map>

#include "base/error.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/unicode.h"

namespace weft::jinja {
namespace {

using Method = Value (*)(const Value&, const Arguments&);

const Value& require(const Arguments& arguments, size_t index) {
  if (index >= arguments.positional.size()) {
    throw InputError("chat template: a method misses an argument");
  }
  return arguments.positional[index];
}

Value optional(const Arguments& arguments, size_t index, Value fallback) {
  return index < arguments.positional.size() ? arguments.positional[index] : std::move(fallback);
}

// Without an argument white space goes, else every character of the argument.
Value strip(const Value& value, const Arguments& arguments, bool left, bool right) {
  const Value chars = optional(arguments, 0, None{});
  const List items = items_of(value);
  const auto goes = [&](const Value& c) {
    if (!chars.is_none()) return contains(chars, c);
    return char_class(decode_utf8(c.as_string(), 0).code) == CharClass::kSpace;
  };
  size_t begin = 0, end = items.size();
  while (left && begin < end && goes(items[begin])) ++begin;
  while (right && end > begin && goes(items[end - 1])) --end;
  std::string out;
  for (size_t i = begin; i < end; ++i) out += items[i].as_string();
  return out;
}

Value split_on_space(const std::string& text) {
  List parts;
  std::string word;
  for (const Value& c : items_of(text)) {
    if (char_class(decode_utf8(c.as_string(), 0).code) != CharClass::kSpace) {
      word += c.as_string();
    } else if (!word.empty()) {
      parts.emplace_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) parts.emplace_back(word);
  return parts;
}

Value split(const Value& value, const Arguments& arguments) {
  const std::string& text = value.as_string();
  const Value separator = optional(arguments, 0, None{});
  const int64_t limit = optional(arguments, 1, -1).as_int();
  if (separator.is_none()) return split_on_space(text);
  if (separator.as_string().empty()) throw InputError("chat template: split by an empty string");
  List parts;
  size_t begin = 0;
  for (size_t found; (found = text.find(separator.as_string(), begin)) != std::string::npos;) {
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) break;
    parts.emplace_back(text.substr(begin, found - begin));
    begin = found + separator.as_string().size();
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

Value replace(const Value& value, const Arguments& arguments) {
  const std::string& text = value.as_string();
  const std::string from = require(arguments, 0).as_string();
  const std::string to = require(arguments, 1).as_string();
  int64_t left = optional(arguments, 2, -1).as_int();
  if (from.empty()) throw InputError("chat template: replace of an empty string");
  std::string out;
  size_t begin = 0;
  for (size_t found; left != 0 && (found = text.find(from, begin)) != std::string::npos; --left) {
    out += text.substr(begin, found - begin) + to;
    begin = found + from.size();
  }
  return out + text.substr(begin);
}

// ASCII letters only: templates change the case of role names.
std::string map_case(std::string text, int (*convert)(int), size_t begin = 0) {
  for (size_t i = begin; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) < 0x80) text[i] = static_cast<char>(convert(text[i]));
  }
  return text;
}

Value capitalize(const Value& value, const Arguments&) {
  std::string text = map_case(value.as_string(), std::tolower);
  if (!text.empty()) text[0] = map_case(text.substr(0, 1), std::toupper)[0];
  return text;
}

Value title(const Value& value, const Arguments&) {
  std::string text = map_case(value.as_string(), std::tolower);
  for (size_t i = 0; i < text.size(); ++i) {
    const bool inside = i > 0 && std::isalpha(static_cast<unsigned char>(text[i - 1]));
    if (!inside) text[i] = map_case(text.substr(i, 1), std::toupper)[0];
  }
  return text;
}

bool has_affix(const Value& value, const Value& affixes, bool at_end) {
  const List list = affixes.is_list() ? affixes.as_list() : List{affixes};
  return std::any_of(list.begin(), list.end(), [&](const Value& affix) {
    return at_end ? value.as_string().ends_with(affix.as_string())
                  : value.as_string().starts_with(affix.as_string());
  });
}

const std::map<std::string, Method>& string_methods() {
  static const std::map<std::string, Method> table = {
      {"strip", [](const Value& v, const Arguments& a) { return strip(v, a, true, true); }},
      {"lstrip", [](const Value& v, const Arguments& a) { return strip(v, a, true, false); }},
      {"rstrip", [](const Value& v, const Arguments& a) { return strip(v, a, false, true); }},
      {"split", split},
      {"replace", replace},
      {"startswith", [](const Value& v,
                        const Arguments& a) { return Value(has_affix(v, require(a, 0), false)); }},
      {"endswith",
       [](const Value& v, const Arguments& a) { return Value(has_affix(v, require(a, 0), true)); }},
      {"upper", [](const Value& v,
                   const Arguments&) { return Value(map_case(v.as_string(), std::toupper)); }},
      {"lower", [](const Value& v,
                   const Arguments&) { return Value(map_case(v.as_string(), std::tolower)); }},
      {"capitalize", capitalize},
      {"title", title},
      {"join",
       [](const Value& v, const Arguments& a) {
         return apply_filter("join", require(a, 0), {{v}, {}});
       }},
  };
  return table;
}

const std::map<std::string, Method>& dict_methods() {
  static const std::map<std::string, Method> table = {
      {"get",
       [](const Value& v, const Arguments& a) {
         const Value* found = find(v.as_dict(), require(a, 0).as_string());
         return found ? *found : optional(a, 1, None{});
       }},
      {"items", [](const Value& v, const Arguments&) { return apply_filter("items", v, {}); }},
      {"keys", [](const Value& v, const Arguments&) { return Value(items_of(v)); }},
      {"values",
       [](const Value& v, const Arguments&) {
         List values;
         for (const auto& [key, item] : v.as_dict()) values.push_back(item);
         return Value(values);
       }},
      {"update",
       [](const Value& v, const Arguments& a) {
         if (!a.positional.empty()) {
           const Dict added = a.positional[0].as_dict();
           for (const auto& [key, item] : added) assign(v.as_dict(), key, item);
         }
         for (const auto& [key, item] : a.named) assign(v.as_dict(), key, item);
         return Value(None{});
       }},
  };
  return table;
}

const std::map<std::string, Method>& list_methods() {
  static const std::map<std::string, Method> table = {
      {"append",
       [](const Value& v, const Arguments& a) {
         v.as_list().push_back(require(a, 0));
         return Value(None{});
       }},
  };
  return table;
}

const std::map<std::string, Method>* methods_of(const Value& value) {
  if (value.is_string()) return &string_methods();
  if (value.is_dict()) return &dict_methods();
  if (value.is_list()) return &list_methods();
  return nullptr;
}

}  // namespace

bool has_method(const Value& value, const std::string& name) {
  const auto* methods = methods_of(value);
  return methods && methods->contains(name);
}

Value call_method(const Value& value, const std::string& name, const Arguments& arguments) {
  const auto* methods = methods_of(value);
  const auto found = methods ? methods->find(name) : decltype(methods->end()){};
  if (!methods || found == methods->end()) {
    throw InputError("chat template: the method \"" + name + "\" of a " + value.type_name() +
                     " is unknown");
  }
  return found->second(value, arguments);
}

}  // namespace weft::jinja
