#include <algorithm>

#include "base/error.h"
#include "base/python_string.h"
#include "model/tokenizer/jinja/arguments.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/jinja/number.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {

using namespace python;
namespace {

const Value& require(const Arguments& arguments, size_t index, const char* of) {
  if (index < arguments.positional.size()) return arguments.positional[index];
  throw InputError(std::string(of) + ": an argument is missing");
}

Value join(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("join", arguments, {"d", "attribute"});
  const std::string separator = to_text(context, bound.get(0, ""));
  const Value attribute = bound.get(1, None{});
  std::string out;
  bool first = true;
  for (const Value& item : items_of(context, value)) {
    if (!first) {
      context.text(separator.size());
      out += separator;
    }
    first = false;
    const Value shown = attribute.is_none() ? item : get_path(context, item, attribute);
    if (shown.is_markup()) throw InputError("join of text marked as safe is not known here");
    out += to_text(context, shown);
  }
  return out;
}

Value items_filter(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("items", arguments, {});
  if (value.is_undefined()) return Value::iterator({});
  Items pairs;
  context.step(value.as_mapping().size());
  for (const auto& [key, item] : value.as_mapping().entries()) {
    pairs.push_back(Value::sequence(SequenceKind::kTuple, {key, item}));
  }
  return Value::iterator(std::move(pairs));
}

Value map_filter(Context& context, const Value& value, const Arguments& arguments) {
  Items out;
  if (!value.truthy()) return Value::iterator({});  // whatever it is, as in jinja2
  if (arguments.positional.empty()) {
    Arguments named = arguments;
    const Bound bound("map", named, {"attribute", "default"}, 1);
    for (const Value& item : items_of(context, value)) {
      const Value found = get_path(context, item, bound[0]);
      out.push_back(found.is_undefined() ? bound.get(1, found) : found);
    }
    return Value::iterator(std::move(out));
  }
  const std::string filter = arguments.positional[0].as_string();
  const Arguments rest{{arguments.positional.begin() + 1, arguments.positional.end()},
                       arguments.named};
  for (const Value& item : items_of(context, value)) {
    out.push_back(apply_filter(context, filter, item, rest));
  }
  return Value::iterator(std::move(out));
}

// select, reject, selectattr and rejectattr.
Value select_items(Context& context, const Value& value, const Arguments& arguments,
                   bool by_attribute, bool keep) {
  if (!value.truthy()) return Value::iterator({});
  const size_t first = by_attribute ? 1 : 0;
  const Value attribute = by_attribute ? require(arguments, 0, "selectattr") : Value();
  Arguments rest;
  for (size_t i = first + 1; i < arguments.positional.size(); ++i) {
    rest.positional.push_back(arguments.positional[i]);
  }
  Items out;
  for (const Value& item : items_of(context, value)) {
    const Value tested = by_attribute ? get_path(context, item, attribute) : item;
    const bool passed =
        arguments.positional.size() > first
            ? apply_test(context, arguments.positional[first].as_string(), tested, rest)
            : tested.truthy();
    if (passed == keep) out.push_back(item);
  }
  return Value::iterator(std::move(out));
}

// What sort, unique, min and max compare: the attribute, texts in small letters.
Value compared(Context& context, const Value& item, const Value& attribute, bool exact) {
  const Value value = attribute.is_none() ? item : get_path(context, item, attribute);
  if (value.is_markup()) throw InputError("order of text marked as safe is not known here");
  if (exact || !value.is_string()) return value;
  context.text(value.as_string().size());
  return lower(value.as_string());
}

using Keyed = std::pair<Value, Value>;

// By the first of each pair. std::stable_sort needs an order without contradictions, which nan
// would break.
Items sorted(Context& context, std::vector<Keyed> pairs, bool reverse) {
  for (const Keyed& pair : pairs) {
    if (pair.first.is_float() && pair.first.as_float() != pair.first.as_float()) {
      throw InputError("the order of nan is not known here");
    }
  }
  if (pairs.size() == 1) return {pairs[0].second};
  std::stable_sort(pairs.begin(), pairs.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? less(context, b.first, a.first) : less(context, a.first, b.first);
  });
  Items out;
  for (Keyed& pair : pairs) out.push_back(std::move(pair.second));
  return out;
}

Value sort_filter(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  const Value attribute = bound.get(2, None{});
  if (attribute.is_string() && attribute.as_string().find(',') != std::string::npos) {
    throw InputError("sort by several attributes is not known here");
  }
  std::vector<Keyed> pairs;
  for (const Value& item : items_of(context, value)) {
    pairs.emplace_back(compared(context, item, attribute, bound.truthy(1)), item);
  }
  return Value::list(sorted(context, std::move(pairs), bound.truthy(0)));
}

Value dictsort(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const Value by = bound.get(1, "key");
  if (by.as_string() != "key" && by.as_string() != "value") {
    throw InputError("dictsort: expected by \"key\" or \"value\", got \"" + by.as_string() + "\"");
  }
  std::vector<Keyed> pairs;
  context.step(value.as_mapping().size());
  for (const auto& [key, item] : value.as_mapping().entries()) {
    const Value& sorted_by = by.as_string() == "key" ? key : item;
    pairs.emplace_back(compared(context, sorted_by, None{}, bound.truthy(0)),
                       Value::sequence(SequenceKind::kTuple, {key, item}));
  }
  return Value::list(sorted(context, std::move(pairs), bound.truthy(2)));
}

Value extreme(Context& context, const Value& value, const Arguments& arguments, bool largest) {
  const Bound bound(largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const Value attribute = bound.get(1, None{});
  const Items items = items_of(context, value);
  if (items.empty()) return Value::undefined("item of an empty sequence");
  const Value* best = nullptr;
  Value best_key;
  for (const Value& item : items) {
    Value key = compared(context, item, attribute, bound.truthy(0));
    const bool better =
        !best || (largest ? less(context, best_key, key) : less(context, key, best_key));
    if (!better) continue;
    best = &item;
    best_key = std::move(key);
  }
  return *best;
}

Value unique(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
  const Value attribute = bound.get(1, None{});
  Mapping seen;
  Items out;
  for (const Value& item : items_of(context, value)) {
    const Value key = compared(context, item, attribute, bound.truthy(0));
    if (seen.find(context, key)) continue;
    seen.set(context, key, None{});
    out.push_back(item);
  }
  return Value::iterator(std::move(out));
}

Value sum(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("sum", arguments, {"attribute", "start"});
  const Value attribute = bound.get(0, None{});
  Value total = bound.get(1, 0);
  for (const Value& item : items_of(context, value)) {
    total = arithmetic("+", total, attribute.is_none() ? item : get_path(context, item, attribute));
  }
  return total;
}

Value first(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("first", arguments, {});
  if (value.is_iterator()) {
    Sequence& sequence = value.as_sequence();
    if (sequence.at < sequence.items.size()) return sequence.items[sequence.at++];
    return Value::undefined("first item");
  }
  const Items items = items_of(context, value);
  return items.empty() ? Value::undefined("first item") : items.front();
}

Value last(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("last", arguments, {});
  if (value.is_iterator()) wrong_type("something with an end", value);
  const Items items = items_of(context, value);
  return items.empty() ? Value::undefined("last item") : items.back();
}

Value reverse(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("reverse", arguments, {});
  Items items = items_of(context, value);
  std::reverse(items.begin(), items.end());
  if (value.is_string()) return join(context, Value::list(std::move(items)), {});
  return value.is_iterator() ? Value::list(std::move(items)) : Value::iterator(std::move(items));
}

template <bool by_attribute, bool keep>
Value select_filter(Context& context, const Value& value, const Arguments& arguments) {
  return select_items(context, value, arguments, by_attribute, keep);
}

Value count(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("length", arguments, {});
  return length(context, value);
}

}  // namespace

const Filters& sequence_filters() {
  static const Filters table = {
      {"length", count},
      {"count", count},
      {"join", join},
      {"items", items_filter},
      {"map", map_filter},
      {"select", select_filter<false, true>},
      {"reject", select_filter<false, false>},
      {"selectattr", select_filter<true, true>},
      {"rejectattr", select_filter<true, false>},
      {"list",
       [](Context& context, const Value& v, const Arguments& a) {
         const Bound bound("list", a, {});
         return Value::list(items_of(context, v));
       }},
      {"first", first},
      {"last", last},
      {"reverse", reverse},
      {"sort", sort_filter},
      {"dictsort", dictsort},
      {"min",
       [](Context& c, const Value& v, const Arguments& a) { return extreme(c, v, a, false); }},
      {"max",
       [](Context& c, const Value& v, const Arguments& a) { return extreme(c, v, a, true); }},
      {"unique", unique},
      {"sum", sum},
  };
  return table;
}

}  // namespace weft::jinja
