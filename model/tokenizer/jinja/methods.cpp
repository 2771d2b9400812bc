#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/python_string.h"
#include "base/utf8.h"
#include "model/tokenizer/jinja/arguments.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {

using namespace python;
namespace {

using Method = Value (*)(Context&, const Value&, const Arguments&);
using Methods = std::map<std::string, Method, std::less<>>;

// rfind, whose time is the product of both sizes.
size_t find_last(Context& context, std::string_view text, std::string_view part) {
  if (part.size() > 256) context.step(text.size() / 16 * (part.size() / 16));
  const size_t found = text.rfind(part);
  context.scan(text.size() - (found == std::string::npos ? 0 : found));
  return found;
}

template <bool left, bool right>
Value strip_method(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("strip", arguments, {"/chars"});
  const std::string& text = value.as_string();
  const Value chars = bound.get(0, None{});
  if (chars.is_none()) return strip(text, left, right);
  context.step(text.size() / 64 * (1 + chars.as_string().size() / 8));
  return strip(text, chars.as_string(), left, right);
}

// How many bytes of the text's end (or beginning) are no white space.
size_t word_size(std::string_view text, bool at_end) {
  size_t size = 0;
  while (size < text.size()) {
    size_t at = at_end ? text.size() - size - 1 : size;
    while (at_end && at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    const auto bytes = static_cast<size_t>(decode_utf8(text, at).length);
    if (is_space(decode_utf8(text, at).code)) break;
    size += bytes;
  }
  return size;
}

// The words of a text; `limit` splits at most, counted from the left or from the right.
Items words(Context& context, std::string_view text, int64_t limit, bool from_right) {
  Items parts;
  text = strip(text, !from_right, from_right);
  while (!text.empty()) {
    context.step();
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      parts.emplace_back(text);
      break;
    }
    const size_t size = word_size(text, from_right);
    parts.emplace_back(from_right ? text.substr(text.size() - size) : text.substr(0, size));
    if (from_right) {
      text.remove_suffix(size);
    } else {
      text.remove_prefix(size);
    }
    text = strip(text, !from_right, from_right);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
Value split(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("split", arguments, {"sep", "maxsplit"});
  const std::string& text = value.as_string();
  context.text(text.size());
  const Value separator = bound.get(0, None{});
  const int64_t limit = bound.get(1, -1).as_index();
  if (separator.is_none()) return Value::list(words(context, text, limit, from_right));
  const std::string& mark = separator.as_string();
  if (mark.empty()) throw InputError("split: an empty separator");
  Items parts;
  size_t begin = 0, end = text.size();
  for (;;) {
    context.step();
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) break;
    if (from_right) {
      const size_t found = find_last(context, std::string_view(text).substr(0, end), mark);
      if (found == std::string::npos) break;
      parts.emplace_back(text.substr(found + mark.size(), end - found - mark.size()));
      end = found;
    } else {
      const size_t found = find_text(text, mark, begin);
      if (found == std::string::npos) break;
      parts.emplace_back(text.substr(begin, found - begin));
      begin = found + mark.size();
    }
  }
  parts.emplace_back(text.substr(begin, end - begin));
  if (from_right) std::reverse(parts.begin(), parts.end());
  return Value::list(std::move(parts));
}

// `to` before every character and at the end.
std::string interleaved(Context& context, const std::string& text, const std::string& to,
                        int64_t left) {
  std::string out;
  for (const std::string_view c : characters(text)) {
    if (left != 0) {
      context.text(to.size());
      out += to;
      --left;
    }
    out += c;
  }
  return left != 0 ? out + to : out;
}

Value replace(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"/old", "/new", "/count"}, 2);
  const std::string &text = value.as_string(), &from = bound[0].as_string(),
                    &to = bound[1].as_string();
  int64_t left = bound.get(2, -1).as_index();
  context.text(text.size());
  if (from.empty()) return interleaved(context, text, to, left);
  std::string out;
  size_t begin = 0;
  for (; left != 0; --left) {
    const size_t found = find_text(text, from, begin);
    if (found == std::string::npos) break;
    context.text(to.size());
    out.append(text, begin, found - begin);
    out += to;
    begin = found + from.size();
  }
  return out.append(text, begin);
}

// The part of a text that `start` and `end` (characters, None for all) leave, with the character
// that it begins at; nullopt where the part would begin behind its end.
struct Part {
  std::string_view text;
  int64_t begin = 0;
};

std::optional<Part> part_of(Context& context, const std::string& text, const Bound& bound,
                            size_t first) {
  const Value start = bound.get(first, None{}), end = bound.get(first + 1, None{});
  context.scan(text.size());
  if (start.is_none() && end.is_none()) return Part{text, 0};
  const auto size = static_cast<int64_t>(count_characters(text));
  const auto place = [&](const Value& value, int64_t fallback) {
    if (value.is_none()) return fallback;
    const int64_t at = value.as_index();
    return at < 0 ? std::max<int64_t>(0, at + size) : at;
  };
  const int64_t begin = place(start, 0), stop = std::min(place(end, size), size);
  if (begin > stop) return std::nullopt;
  const size_t from = byte_of(text, static_cast<size_t>(begin));
  const size_t to = byte_of(text, static_cast<size_t>(stop));
  return Part{std::string_view(text).substr(from, to - from), begin};
}

template <bool at_end>
Value has_affix(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("startswith", arguments, {"/affix", "/start", "/end"}, 1);
  const auto part = part_of(context, value.as_string(), bound, 1);
  const Items affixes = bound[0].is_tuple() ? bound[0].as_sequence().items : Items{bound[0]};
  return std::any_of(affixes.begin(), affixes.end(), [&](const Value& affix) {
    const std::string& text = affix.as_string();
    return part && (at_end ? part->text.ends_with(text) : part->text.starts_with(text));
  });
}

// find, rfind and index: the character where a part begins.
template <bool from_right, bool required>
Value find_method(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("find", arguments, {"/part", "/start", "/end"}, 1);
  const auto part = part_of(context, value.as_string(), bound, 1);
  const std::string& wanted = bound[0].as_string();
  size_t found = std::string::npos;
  if (part && from_right) {
    found = find_last(context, part->text, wanted);
  } else if (part) {
    found = find_text(part->text, wanted);
  }
  if (found == std::string::npos) {
    if (required) throw InputError("index: the part is not in the text");
    return -1;
  }
  return part->begin + static_cast<int64_t>(count_characters(part->text.substr(0, found)));
}

Value count_text(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("count", arguments, {"/part", "/start", "/end"}, 1);
  const auto part = part_of(context, value.as_string(), bound, 1);
  const std::string& wanted = bound[0].as_string();
  if (!part) return 0;
  if (wanted.empty()) return count_characters(part->text) + 1;
  int64_t count = 0;
  for (size_t at = 0; (at = find_text(part->text, wanted, at)) != std::string::npos; ++count) {
    at += wanted.size();
  }
  return count;
}

template <bool from_right>
Value partition(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("partition", arguments, {"/sep"}, 1);
  const std::string &text = value.as_string(), &mark = bound[0].as_string();
  if (mark.empty()) throw InputError("partition: an empty separator");
  context.text(text.size());
  const size_t found = from_right ? find_last(context, text, mark) : find_text(text, mark);
  Items parts = {text, "", ""};
  if (found != std::string::npos) {
    parts = {text.substr(0, found), mark, text.substr(found + mark.size())};
  } else if (from_right) {
    std::swap(parts[0], parts[2]);
  }
  return Value::sequence(SequenceKind::kTuple, std::move(parts));
}

template <bool at_end>
Value remove_affix(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("removeprefix", arguments, {"/affix"}, 1);
  std::string_view text = value.as_string();
  const std::string& affix = bound[0].as_string();
  context.scan(text.size());
  if (at_end && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!at_end && text.starts_with(affix)) text.remove_prefix(affix.size());
  return text;
}

template <bool at_left>
Value justify(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("ljust", arguments, {"/width", "/fillchar"}, 1);
  const std::string& text = value.as_string();
  const Value fill = bound.get(1, " ");
  if (count_characters(fill.as_string()) != 1) throw InputError("ljust: expected one character");
  const int64_t missing = bound[0].as_index() - length(context, value);
  if (missing > 0) context.text(static_cast<size_t>(missing) * 4);
  std::string pad;
  for (int64_t i = 0; i < missing; ++i) pad += fill.as_string();
  return at_left ? text + pad : pad + text;
}

Value lines(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("splitlines", arguments, {"keepends"});
  context.text(value.as_string().size());
  Items items;
  for (const auto line : split_lines(value.as_string(), bound.truthy(0))) items.emplace_back(line);
  context.step(items.size());
  return Value::list(std::move(items));
}

Value join(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("join", arguments, {"/iterable"}, 1);
  const Items items = items_of(context, bound[0]);
  if (bound[0].is_undefined()) return "";
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string& item = items[i].as_string();
    context.text(item.size() + value.as_string().size());
    if (i > 0) out += value.as_string();
    out += item;
  }
  return out;
}

template <std::string (*convert)(std::string_view)>
Value with_case(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("a method of strings", arguments, {});
  context.text(value.as_string().size());
  return convert(value.as_string());
}

template <TextClass text_class>
Value class_method(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("a method of strings", arguments, {});
  context.scan(value.as_string().size());
  return is_class(value.as_string(), text_class);
}

const Methods& string_methods() {
  static const Methods table = {
      {"strip", strip_method<true, true>},
      {"lstrip", strip_method<true, false>},
      {"rstrip", strip_method<false, true>},
      {"split", split<false>},
      {"rsplit", split<true>},
      {"replace", replace},
      {"startswith", has_affix<false>},
      {"endswith", has_affix<true>},
      {"find", find_method<false, false>},
      {"rfind", find_method<true, false>},
      {"index", find_method<false, true>},
      {"count", count_text},
      {"partition", partition<false>},
      {"rpartition", partition<true>},
      {"removeprefix", remove_affix<false>},
      {"removesuffix", remove_affix<true>},
      {"ljust", justify<true>},
      {"rjust", justify<false>},
      {"splitlines", lines},
      {"join", join},
      {"upper", with_case<upper>},
      {"lower", with_case<lower>},
      {"capitalize", with_case<capitalize>},
      {"title", with_case<title>},
      {"isalpha", class_method<TextClass::kAlpha>},
      {"isdigit", class_method<TextClass::kDigit>},
      {"isalnum", class_method<TextClass::kAlnum>},
      {"isspace", class_method<TextClass::kSpace>},
      {"islower", class_method<TextClass::kLower>},
      {"isupper", class_method<TextClass::kUpper>},
      {"format", [](Context& c, const Value& v,
                    const Arguments& a) { return Value(format_text(c, v.as_string(), a)); }},
  };
  return table;
}

Value dict_get(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("get", arguments, {"/key", "/default"}, 1);
  const Value* found = value.as_mapping().find(context, bound[0]);
  return found ? *found : bound.get(1, None{});
}

// A view of keys, values or pairs.
template <SequenceKind kind>
Value view(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("a method of mappings", arguments, {});
  context.step(value.as_mapping().size());
  Items items;
  for (const auto& [key, item] : value.as_mapping().entries()) {
    items.push_back(kind == SequenceKind::kKeys ? key
                    : kind == SequenceKind::kValues
                        ? item
                        : Value::sequence(SequenceKind::kTuple, {key, item}));
  }
  return Value::sequence(kind, std::move(items));
}

const Methods& mapping_methods() {
  static const Methods table = {
      {"get", dict_get},
      {"keys", view<SequenceKind::kKeys>},
      {"values", view<SequenceKind::kValues>},
      {"items", view<SequenceKind::kPairs>},
      {"copy",
       [](Context& context, const Value& v, const Arguments& a) {
         const Bound bound("copy", a, {});
         context.step(v.as_mapping().size());
         return Value(Mapping(v.as_mapping()));
       }},
  };
  return table;
}

Value item_index(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("index", arguments, {"/value"}, 1);
  const Items& items = value.as_sequence().items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equal(context, items[i], bound[0])) return i;
  }
  throw InputError("index: the value is not in the list");
}

Value count_items(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("count", arguments, {"/value"}, 1);
  int64_t count = 0;
  for (const Value& item : value.as_sequence().items) count += equal(context, item, bound[0]);
  return count;
}

const Methods& indexed_methods() {
  static const Methods table = {{"index", item_index}, {"count", count_items}};
  return table;
}

const Methods* methods_of(const Value& value) {
  if (value.is_string()) return &string_methods();
  if (value.is_mapping()) return &mapping_methods();
  return value.is_indexed() ? &indexed_methods() : nullptr;
}

}  // namespace

Value call_method(Context& context, const Value& value, const std::string& name,
                  const Arguments& arguments) {
  context.step();
  const Methods* methods = methods_of(value);
  const auto found = methods ? methods->find(name) : Methods::const_iterator{};
  if (!methods || found == methods->end()) {
    throw InputError("the method \"" + name + "\" of a " + value.type_name() + " is unknown");
  }
  return found->second(context, value, arguments);
}

}  // namespace weft::jinja
