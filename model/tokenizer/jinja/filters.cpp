#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/python_string.h"
#include "model/tokenizer/jinja/arguments.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/jinja/number.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {

using namespace python;
namespace {

std::string without_arguments(Context& context, const char* of, const Value& value,
                              const Arguments& arguments) {
  const Bound bound(of, arguments, {});
  return to_text(context, value);
}

Value trim(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("trim", arguments, {"chars"});
  const std::string text = to_text(context, value);
  const Value chars = bound.get(0, None{});
  if (chars.is_none()) return strip(text, true, true);
  context.scan(text.size() * chars.as_string().size());
  return strip(text, chars.as_string(), true, true);
}

// jinja2's own: words begin behind white space, '-' and opening brackets.
Value title_filter(Context& context, const Value& value, const Arguments& arguments) {
  const std::string text = without_arguments(context, "title", value, arguments);
  std::string out, word;
  const auto flush = [&] {
    const size_t first = byte_of(word, 1);
    out += upper(word.substr(0, first)) + lower(word.substr(first));
    word.clear();
  };
  for (const std::string_view c : characters(text)) {
    const bool splits =
        c == "-" || c == "(" || c == "{" || c == "[" || c == "<" || strip(c, true, false).empty();
    if (splits) flush();
    (splits ? out : word) += c;
  }
  flush();
  return out;
}

Value indent(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("indent", arguments, {"width", "first", "blank"});
  const Value width = bound.get(0, 4);
  const int64_t spaces = width.is_string() ? 0 : width.as_index();
  context.text(static_cast<size_t>(std::max<int64_t>(spaces, 0)));
  const std::string pad = width.is_string()
                              ? width.as_string()
                              : std::string(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' ');
  const std::string text = value.as_string() + "\n";
  std::string out = bound.truthy(1) ? pad : "";
  bool first = true;
  for (const std::string_view line : split_lines(text)) {
    if (!first) out += '\n';
    if (!first && (bound.truthy(2) || !line.empty())) {
      context.text(pad.size());
      out += pad;
    }
    first = false;
    out += line;
  }
  return out;
}

Value replace(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"}, 2);
  const Value count = bound.get(2, None{});
  return call_method(context, to_text(context, value), "replace",
                     {{to_text(context, bound[0]), to_text(context, bound[1]),
                       count.is_none() ? Value(-1) : count},
                      {}});
}

Value int_filter(Context&, const Value& value, const Arguments& arguments) {
  const Bound bound("int", arguments, {"default", "base"});
  const int base = static_cast<int>(bound.get(1, 10).as_index());
  if (value.is_undefined()) wrong_type("a number", value);
  if (value.is_integral()) return value.as_int();
  if (value.is_float() && !std::isnan(value.as_float())) return truncated(value.as_float());
  if (value.is_string()) {
    if (const auto whole = int_of_text(value.as_string(), base)) return *whole;
    const auto real = float_of_text(value.as_string());
    if (real && std::isfinite(*real)) return truncated(*real);
  }
  return bound.get(0, 0);
}

Value float_filter(Context&, const Value& value, const Arguments& arguments) {
  const Bound bound("float", arguments, {"default"});
  if (value.is_undefined()) wrong_type("a number", value);
  if (value.is_number()) return value.as_float();
  if (value.is_string()) {
    if (const auto real = float_of_text(value.as_string())) return *real;
  }
  return bound.get(0, 0.0);
}

Value round_filter(Context&, const Value& value, const Arguments& arguments) {
  const Bound bound("round", arguments, {"precision", "method"});
  const int64_t digits = bound.get(0, 0).as_index();
  const Value method = bound.get(1, "common");
  if (digits < 0 || digits > 15 || method.as_string() != "common") {
    throw InputError("round: this precision or method is not known here");
  }
  if (!value.is_float()) return value.as_int();
  return rounded(value.as_float(), static_cast<int>(digits));
}

Value abs_filter(Context&, const Value& value, const Arguments& arguments) {
  const Bound bound("abs", arguments, {});
  if (value.is_float()) return std::abs(value.as_float());
  return value.as_int() < 0 ? negated(value) : Value(value.as_int());
}

Value format_filter(Context& context, const Value& value, const Arguments& arguments) {
  if (!arguments.named.empty()) throw InputError("format: named arguments are not known here");
  return percent_text(context, to_text(context, value),
                      Value::sequence(SequenceKind::kTuple, arguments.positional));
}

Value tojson(Context& context, const Value& value, const Arguments& arguments) {
  const Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.truthy(0);
  const Value indent = bound.get(1, None{});
  if (!indent.is_none()) {
    style.lines = true;
    style.item_separator = ",";
    if (indent.is_string()) {
      style.indent = indent.as_string();
    } else {
      const int64_t width = std::max<int64_t>(0, indent.as_index());
      context.text(static_cast<size_t>(width));
      style.indent.assign(static_cast<size_t>(width), ' ');
    }
  }
  const Value separators = bound.get(2, None{});
  if (!separators.is_none()) {
    const Items both = items_of(context, separators);
    if (both.size() != 2) throw InputError("tojson: expected two separators");
    style.item_separator = both[0].as_string();
    style.key_separator = both[1].as_string();
  }
  style.sort_keys = bound.truthy(3);
  return to_json(context, value, style);
}

Value escape(Context& context, const Value& value, const Arguments& arguments) {
  if (value.is_markup()) return value;
  std::string out;
  for (const char c : without_arguments(context, "escape", value, arguments)) {
    static const std::string kMarks = "&<>\"'";
    static const char* const kNames[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
    const size_t mark = kMarks.find(c);
    if (mark == std::string::npos) {
      out += c;
    } else {
      out += kNames[mark];
    }
  }
  context.text(out.size());
  return Markup{std::make_shared<const std::string>(std::move(out))};
}

Value safe(Context& context, const Value& value, const Arguments& arguments) {
  return Markup{
      std::make_shared<const std::string>(without_arguments(context, "safe", value, arguments))};
}

Value defaulted(Context&, const Value& value, const Arguments& arguments) {
  const Bound bound("default", arguments, {"default_value", "boolean"});
  const bool missing = value.is_undefined() || (bound.truthy(1) && !value.truthy());
  return missing ? bound.get(0, "") : value;
}

// The filters that know what to do with text marked as safe.
bool takes_markup(const std::string& name) {
  return name == "safe" || name == "escape" || name == "e" || name == "length" || name == "count" ||
         name == "default" || name == "d" || name == "string";
}

}  // namespace

const Filters& text_filters() {
  static const Filters table = {
      {"trim", trim},
      {"title", title_filter},
      {"indent", indent},
      {"replace", replace},
      {"int", int_filter},
      {"float", float_filter},
      {"round", round_filter},
      {"abs", abs_filter},
      {"format", format_filter},
      {"tojson", tojson},
      {"escape", escape},
      {"e", escape},
      {"safe", safe},
      {"default", defaulted},
      {"d", defaulted},
      {"string",
       [](Context& context, const Value& v, const Arguments& a) {
         if (v.is_markup()) return v;
         return Value(without_arguments(context, "string", v, a));
       }},
      {"upper",
       [](Context& context, const Value& v, const Arguments& a) {
         return Value(upper(without_arguments(context, "upper", v, a)));
       }},
      {"lower",
       [](Context& context, const Value& v, const Arguments& a) {
         return Value(lower(without_arguments(context, "lower", v, a)));
       }},
      {"capitalize",
       [](Context& context, const Value& v, const Arguments& a) {
         return Value(capitalize(without_arguments(context, "capitalize", v, a)));
       }},
  };
  return table;
}

Value apply_filter(Context& context, const std::string& name, const Value& value,
                   const Arguments& arguments) {
  for (const Filters* table : {&text_filters(), &sequence_filters()}) {
    const auto found = table->find(name);
    if (found == table->end()) continue;
    if (value.is_markup() && !takes_markup(name)) {
      throw InputError("the filter \"" + name + "\" of text marked as safe is not known here");
    }
    return found->second(context, value, arguments);
  }
  throw InputError("the filter \"" + name + "\" is unknown");
}

}  // namespace weft::jinja
